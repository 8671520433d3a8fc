// x above 0, alpha * x below; float32.
import type {LeakyReluAttrs, LeakyReluInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<LeakyReluInputs, LeakyReluAttrs>('LeakyRelu', ({inputs: {x}, attrs: {alpha}, backend}) =>
  backend.output(backend.native.leakyRelu(backend.handle(x), alpha), x.shape, 'float32'),
);
