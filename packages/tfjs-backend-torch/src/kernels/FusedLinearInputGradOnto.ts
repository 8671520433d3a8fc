// FusedLinearInputGrad added to what x's gradient is so far: where nobody else holds that, in place and by the product itself.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [onto: TensorInfo, dy: TensorInfo, kernel: TensorInfo];

export default kernel<Inputs, Record<string, never>>(
  'FusedLinearInputGradOnto',
  ({inputs: [onto, dy, weight], backend}) => {
    const [sum, slope, matrix] = [backend.handle(onto), backend.handle(dy), backend.handle(weight)];
    if (backend.refCount(onto.dataId) === 1 && backend.native.linearInputGradOnto(sum, slope, matrix)) {
      return [backend.alias(onto, onto.shape)];
    }
    const dx = backend.native.linearInputGrad(slope, matrix);
    const added = backend.native.addN([sum, dx]);
    backend.native.release(dx);
    return [backend.output(added, onto.shape, 'float32')];
  },
);
