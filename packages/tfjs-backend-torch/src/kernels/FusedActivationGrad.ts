// The gradient of FusedActivation.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {activationKinds, type FusedActivationAttrs} from './FusedActivation.ts';
import {kernel} from './kernel.ts';

type Inputs = [dy: TensorInfo, x: TensorInfo];

export default kernel<Inputs, FusedActivationAttrs>('FusedActivationGrad', ({inputs: [dy, x], attrs, backend}) => {
  const handle = backend.native.activationGrad(backend.handle(dy), backend.handle(x), activationKinds[attrs.kind]);
  return [backend.output(handle, x.shape, 'float32')];
});
