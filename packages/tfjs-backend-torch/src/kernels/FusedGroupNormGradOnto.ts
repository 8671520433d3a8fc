// FusedGroupNormGrad whose dx is added to what x's gradient is so far, in the same pass.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {type GroupNormGradAttrs, type GroupNormGradInputs, groupNormGrad} from './FusedGroupNormGrad.ts';
import {kernel} from './kernel.ts';

type Inputs = [onto: TensorInfo, ...of: GroupNormGradInputs];

export default kernel<Inputs, GroupNormGradAttrs>('FusedGroupNormGradOnto', ({inputs: [onto, ...of], attrs, backend}) =>
  groupNormGrad(backend, of, attrs, onto),
);
