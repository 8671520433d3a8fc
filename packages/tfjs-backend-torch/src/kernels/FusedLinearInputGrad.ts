// The gradient of FusedLinear for x: dy [..., out], kernel [in, out] -> [..., in].
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [dy: TensorInfo, kernel: TensorInfo];

export default kernel<Inputs, Record<string, never>>('FusedLinearInputGrad', ({inputs: [dy, weight], backend}) => {
  const shape = [...dy.shape.slice(0, -1), weight.shape[0]!];
  const dx = backend.native.linearInputGrad(backend.handle(dy), backend.handle(weight));
  return [backend.output(dx, shape, 'float32')];
});
