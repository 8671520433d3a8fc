// IFFT.
import {fourier} from '../families/complex.ts';

export const ifft = fourier('IFFT', 1);
