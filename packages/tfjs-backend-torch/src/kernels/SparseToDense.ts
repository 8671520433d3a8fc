// Values put at given places of a tensor of one default value.
import type {SparseToDenseAttrs, SparseToDenseInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<SparseToDenseInputs, SparseToDenseAttrs>(
  'SparseToDense',
  ({inputs: {sparseIndices, sparseValues, defaultValue}, attrs: {outputShape}, backend}) => {
    const base = backend.native.broadcastTo(backend.handle({...defaultValue, shape: []}), outputShape);
    try {
      const handle = backend.native.scatterNd(base, backend.handle(sparseIndices), backend.handle(sparseValues), false);
      return backend.output(handle, outputShape, sparseValues.dtype);
    } finally {
      backend.native.release(base);
    }
  },
);
