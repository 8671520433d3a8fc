// x [..., in], kernel [in, out], bias [out] -> [..., out].
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo, kernel: TensorInfo, bias?: TensorInfo];

export default kernel<Inputs, Record<string, never>>('FusedLinear', ({inputs: [x, weight, bias], backend}) => {
  const shape = [...x.shape.slice(0, -1), weight.shape[1]!];
  const y = backend.native.linear(backend.handle(x), backend.handle(weight), backend.optionalHandle(bias));
  return [backend.output(y, shape, 'float32')];
});
