// The gradient of FusedLinear for its kernel: x [..., in], dy [..., out] -> [in, out].
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo, dy: TensorInfo];

export default kernel<Inputs, Record<string, never>>('FusedLinearKernelGrad', ({inputs: [x, dy], backend}) => [
  backend.output(
    backend.native.linearKernelGrad(backend.handle(x), backend.handle(dy)),
    [x.shape.at(-1)!, dy.shape.at(-1)!],
    'float32',
  ),
]);
