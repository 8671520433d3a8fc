// Ones of the same shape and type.
import type {OnesLikeInputs} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<OnesLikeInputs>('OnesLike', ({inputs: {x}, backend}) => {
  if (x.dtype === 'string') throw new Error('onesLike is not supported for string tensors');
  return backend.output(backend.native.fill(x.shape, 1, dtypeCodes[x.dtype]), x.shape, x.dtype);
});
