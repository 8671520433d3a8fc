// The gradient of UpsampleNearest2x: sums of 2 by 2 blocks.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [dy: TensorInfo];

export default kernel<Inputs, Record<string, never>>('UpsampleNearest2xGrad', ({inputs: [dy], backend}) => {
  const [n, height, width, channels] = dy.shape as [number, number, number, number];
  return [
    backend.output(backend.native.upsample2xGrad(backend.handle(dy)), [n, height / 2, width / 2, channels], 'float32'),
  ];
});
