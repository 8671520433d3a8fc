// x above 0, alpha * x below, with a tensor of alphas.
import type {PreluInputs} from '@tensorflow/tfjs-core';
import {broadcastShape} from './binary_kernel.ts';
import {kernel} from './kernel.ts';

export default kernel<PreluInputs>('Prelu', ({inputs: {x, alpha}, backend}) =>
  backend.output(
    backend.native.prelu(backend.handle(x), backend.handle(alpha)),
    broadcastShape(x.shape, alpha.shape),
    'float32',
  ),
);
