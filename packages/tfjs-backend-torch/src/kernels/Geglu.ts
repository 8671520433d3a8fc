// [..., 2C] -> [..., C]: the first half times gelu (erf) of the second.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo];

export default kernel<Inputs, Record<string, never>>('Geglu', ({inputs: [x], backend}) => {
  const shape = [...x.shape.slice(0, -1), x.shape.at(-1)! / 2];
  return [backend.output(backend.native.geglu(backend.handle(x)), shape, 'float32')];
});
