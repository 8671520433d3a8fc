// Bincount of a vector, or of each row of a matrix.
import type {DenseBincountAttrs, DenseBincountInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<DenseBincountInputs, DenseBincountAttrs>(
  'DenseBincount',
  ({inputs: {x, weights}, attrs: {size, binaryOutput}, backend}) => {
    const shape = x.shape.length === 2 ? [x.shape[0]!, size] : [size];
    const handle = backend.native.bincount(backend.handle(x), backend.handle(weights), size, Boolean(binaryOutput));
    return backend.output(handle, shape, weights.dtype);
  },
);
