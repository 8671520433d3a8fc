// New values for a variable in the storage it has: what a captured step keeps from one call to the next.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {makeSoleOwner} from './sole_owner.ts';

export default kernel<[target: TensorInfo, value: TensorInfo]>('Overwrite', ({inputs: [target, value], backend}) => {
  makeSoleOwner('Overwrite', target, backend);
  backend.native.finishReads();
  backend.overwrite(target, value);
  return [];
});
