// Discrete Fourier transform of the last axis.
import type {FFTInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<FFTInputs>('FFT', ({inputs: {input}, backend}) =>
  backend.output(backend.native.fft(backend.handle(input)), input.shape, 'complex64'),
);
