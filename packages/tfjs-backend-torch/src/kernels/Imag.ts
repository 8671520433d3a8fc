// The imaginary part.
import type {ImagInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ImagInputs>('Imag', ({inputs: {input}, backend}) =>
  backend.output(backend.native.imag(backend.handle(input)), input.shape, 'float32'),
);
