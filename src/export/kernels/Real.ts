// Real.
import {part} from '../families/complex.ts';

export const real = part('Real', 0);
