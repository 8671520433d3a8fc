// Inverse Fourier transform of the last axis.
import type {IFFTInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<IFFTInputs>('IFFT', ({inputs: {input}, backend}) =>
  backend.output(backend.native.ifft(backend.handle(input)), input.shape, 'complex64'),
);
