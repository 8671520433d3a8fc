// [..., C] -> [C].
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo];

export default kernel<Inputs, Record<string, never>>('ColumnSum', ({inputs: [x], backend}) => [
  backend.output(backend.native.columnSum(backend.handle(x)), [x.shape.at(-1)!], 'float32'),
]);
