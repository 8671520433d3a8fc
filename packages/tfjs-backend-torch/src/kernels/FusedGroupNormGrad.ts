// The gradient of FusedGroupNorm: dx, then dgamma and dbeta with `parameters`, then dscale and dshift where given.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {TorchBackend} from '../torch_backend.ts';
import type {GroupNormAttrs, GroupNormInputs} from './FusedGroupNorm.ts';
import {kernel} from './kernel.ts';

export type GroupNormGradInputs = [dy: TensorInfo, stats: TensorInfo, ...of: GroupNormInputs];
export type GroupNormGradAttrs = GroupNormAttrs & {parameters: boolean};

/** `onto`: what is added to dx. */
export function groupNormGrad(
  backend: TorchBackend,
  inputs: GroupNormGradInputs,
  attrs: GroupNormGradAttrs,
  onto?: TensorInfo,
): TensorInfo[] {
  const [dy, stats, x, gamma, beta, scale, shift] = inputs;
  const handles = backend.native.groupNormGrad(
    backend.handle(dy),
    backend.handle(stats),
    backend.handle(x),
    backend.handle(gamma),
    backend.handle(beta),
    backend.optionalHandle(scale),
    backend.optionalHandle(shift),
    attrs.groups,
    attrs.silu,
    attrs.parameters,
    backend.optionalHandle(onto),
  );
  const shapes = [
    x.shape,
    ...(attrs.parameters ? [gamma.shape, beta.shape] : []),
    ...(scale ? [scale.shape, scale.shape] : []),
  ];
  return handles.map((handle, i) => backend.output(handle, shapes[i]!.slice(), 'float32'));
}

export default kernel<GroupNormGradInputs, GroupNormGradAttrs>('FusedGroupNormGrad', ({inputs, attrs, backend}) =>
  groupNormGrad(backend, inputs, attrs),
);
