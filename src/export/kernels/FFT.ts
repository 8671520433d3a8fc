// FFT.
import {fourier} from '../families/complex.ts';

export const fft = fourier('FFT', 0);
