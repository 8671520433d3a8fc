// silu, gelu (erf) or quickGelu, elementwise.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

/** Codes of native/ops/fused.cc. */
export const activationKinds = {silu: 0, gelu: 1, quickGelu: 2} as const;

export interface FusedActivationAttrs {
  kind: keyof typeof activationKinds;
}

export default kernel<[x: TensorInfo], FusedActivationAttrs>('FusedActivation', ({inputs: [x], attrs, backend}) => [
  backend.output(backend.native.activation(backend.handle(x), activationKinds[attrs.kind]), x.shape, 'float32'),
]);
