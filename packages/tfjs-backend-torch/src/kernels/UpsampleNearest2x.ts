// [N, H, W, C] -> [N, 2H, 2W, C]: every pixel four times.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo];

export default kernel<Inputs, Record<string, never>>('UpsampleNearest2x', ({inputs: [x], backend}) => {
  const [n, height, width, channels] = x.shape as [number, number, number, number];
  return [
    backend.output(backend.native.upsample2x(backend.handle(x)), [n, 2 * height, 2 * width, channels], 'float32'),
  ];
});
