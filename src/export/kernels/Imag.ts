// Imag.
import {part} from '../families/complex.ts';

export const imag = part('Imag', 1);
