// Zeros (empty strings) of the same shape and type.
import type {ZerosLikeInputs} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<ZerosLikeInputs>('ZerosLike', ({inputs: {x}, backend}) => {
  const zero = x.dtype === 'string' ? backend.strings.intern([new Uint8Array(0)])[0]! : 0;
  return backend.output(backend.native.fill(x.shape, zero, dtypeCodes[x.dtype]), x.shape, x.dtype);
});
