// Normalisation by given statistics.
import type {FusedBatchNormAttrs, FusedBatchNormInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<FusedBatchNormInputs, FusedBatchNormAttrs>(
  'FusedBatchNorm',
  ({inputs: {x, mean, variance, offset, scale}, attrs, backend}) => {
    const handle = backend.native.batchNorm(
      backend.handle(x),
      backend.handle(mean),
      backend.handle(variance),
      backend.optionalHandle(offset),
      backend.optionalHandle(scale),
      attrs.varianceEpsilon ?? 0.001,
    );
    return backend.output(handle, x.shape, 'float32');
  },
);
