// ArgMin: the first of equal values, as int32.
import {argReduction} from '../families/reduce.ts';

export const argMin = argReduction('ArgMin', 'ArgMin');
