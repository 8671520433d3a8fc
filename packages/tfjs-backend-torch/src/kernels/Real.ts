// The real part.
import type {RealInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<RealInputs>('Real', ({inputs: {input}, backend}) =>
  backend.output(backend.native.real(backend.handle(input)), input.shape, 'float32'),
);
