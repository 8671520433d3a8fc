// New values for a variable in the storage it has: what a captured step keeps from one call to the next.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {makeSoleOwner} from './sole_owner.ts';

export default kernel<[target: TensorInfo, value: TensorInfo]>('Overwrite', ({inputs: [target, value], backend}) => {
  makeSoleOwner('Overwrite', target, backend);
  const [to, from] = backend.handles([target, value]);
  backend.native.finishReads();
  backend.native.assign(to!, from!);
  return [];
});
