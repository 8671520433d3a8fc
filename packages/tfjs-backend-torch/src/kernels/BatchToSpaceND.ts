// Batch entries laid out as blocks of the axes after the first, then cropped.
import type {BatchToSpaceNDAttrs, BatchToSpaceNDInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<BatchToSpaceNDInputs, BatchToSpaceNDAttrs>(
  'BatchToSpaceND',
  ({inputs: {x}, attrs: {blockShape, crops}, backend}) => {
    const shape = x.shape.slice();
    blockShape.forEach((block, i) => {
      shape[0]! /= block;
      shape[1 + i] = shape[1 + i]! * block - crops[i]![0]! - crops[i]![1]!;
    });
    return backend.output(backend.native.batchToSpace(backend.handle(x), blockShape, crops.flat()), shape, x.dtype);
  },
);
