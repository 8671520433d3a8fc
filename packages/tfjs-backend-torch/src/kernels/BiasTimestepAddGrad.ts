// dy [N, ..., C] -> [N, C], summed over the axes between.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [dy: TensorInfo];

export default kernel<Inputs, Record<string, never>>('BiasTimestepAddGrad', ({inputs: [dy], backend}) => {
  const shape = [dy.shape[0]!, dy.shape.at(-1)!];
  return [backend.output(backend.native.sumBetween(backend.handle(dy)), shape, 'float32')];
});
