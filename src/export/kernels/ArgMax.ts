// ArgMax: the first of equal values, as int32.
import {argReduction} from '../families/reduce.ts';

export const argMax = argReduction('ArgMax', 'ArgMax');
