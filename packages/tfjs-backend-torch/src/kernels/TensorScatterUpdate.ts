// A copy of a tensor with some slices replaced.
import type {TensorScatterUpdateInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<TensorScatterUpdateInputs>(
  'TensorScatterUpdate',
  ({inputs: {tensor, indices, updates}, backend}) =>
    backend.output(
      backend.native.scatterNd(backend.handle(tensor), backend.handle(indices), backend.handle(updates), false),
      tensor.shape,
      tensor.dtype,
    ),
);
