// Group normalisation of [N, ..., C], optionally modulated by scale and shift [N, C] and followed by silu.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export interface GroupNormAttrs {
  groups: number;
  epsilon: number;
  silu: boolean;
}

export type GroupNormInputs = [
  x: TensorInfo,
  gamma: TensorInfo,
  beta: TensorInfo,
  scale?: TensorInfo,
  shift?: TensorInfo,
];

export default kernel<GroupNormInputs, GroupNormAttrs>('FusedGroupNorm', ({inputs, attrs, backend}) => {
  const [x, gamma, beta, scale, shift] = inputs;
  const {groups, epsilon, silu} = attrs;
  const [y, stats] = backend.native.groupNorm(
    backend.handle(x),
    backend.handle(gamma),
    backend.handle(beta),
    backend.optionalHandle(scale),
    backend.optionalHandle(shift),
    groups,
    epsilon,
    silu,
  );
  return [backend.output(y, x.shape, 'float32'), backend.output(stats, [x.shape[0]!, groups, 2], 'float32')];
});
