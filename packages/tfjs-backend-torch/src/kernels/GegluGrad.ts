// The gradient of Geglu.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [dy: TensorInfo, x: TensorInfo];

export default kernel<Inputs, Record<string, never>>('GegluGrad', ({inputs: [dy, x], backend}) => [
  backend.output(backend.native.gegluGrad(backend.handle(dy), backend.handle(x)), x.shape, 'float32'),
]);
