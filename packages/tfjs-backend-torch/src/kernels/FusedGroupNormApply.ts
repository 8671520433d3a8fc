// FusedGroupNorm's first output from the statistics it gave: the same bytes, and x is read once.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {GroupNormAttrs, GroupNormInputs} from './FusedGroupNorm.ts';
import {kernel} from './kernel.ts';

type Inputs = [stats: TensorInfo, ...of: GroupNormInputs];

export default kernel<Inputs, GroupNormAttrs>('FusedGroupNormApply', ({inputs, attrs: {groups, silu}, backend}) => {
  const [stats, x, gamma, beta, scale, shift] = inputs;
  const y = backend.native.groupNormApply(
    backend.handle(stats),
    backend.handle(x),
    backend.handle(gamma),
    backend.handle(beta),
    backend.optionalHandle(scale),
    backend.optionalHandle(shift),
    groups,
    silu,
  );
  return [backend.output(y, x.shape, 'float32')];
});
