// The gradient of StridedSlice: dy at the places that were read, zero elsewhere.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export interface StridedSliceGradAttrs {
  inputShape: number[];
  /** First element, step and number of elements of every axis, masks resolved. */
  begin: number[];
  strides: number[];
  sizes: number[];
}

export default kernel<{dy: TensorInfo}, StridedSliceGradAttrs>(
  'StridedSliceGrad',
  ({inputs: {dy}, attrs: {inputShape, begin, strides, sizes}, backend}) =>
    backend.output(
      backend.native.stridedSliceGrad(backend.handle(dy), inputShape, begin, strides, sizes),
      inputShape,
      dy.dtype,
    ),
);
