// Conversion between element types. int32 takes float32 as JavaScript does: truncated, NaN to 0.
import type {CastAttrs, CastInputs} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<CastInputs, CastAttrs>('Cast', ({inputs: {x}, attrs: {dtype}, backend}) => {
  if (dtype === x.dtype) return backend.alias(x, x.shape);
  if (dtype === 'string' || x.dtype === 'string')
    throw new Error(`Error in Cast: failed to cast ${x.dtype} to ${dtype}`);
  return backend.output(backend.native.cast(backend.handle(x), dtypeCodes[dtype]), x.shape, dtype);
});
