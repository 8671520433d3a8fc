// Blocks of the axes after the first, padded, laid out as batch entries.
import type {SpaceToBatchNDAttrs, SpaceToBatchNDInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<SpaceToBatchNDInputs, SpaceToBatchNDAttrs>(
  'SpaceToBatchND',
  ({inputs: {x}, attrs: {blockShape, paddings}, backend}) => {
    const shape = x.shape.slice();
    blockShape.forEach((block, i) => {
      shape[0]! *= block;
      shape[1 + i] = (shape[1 + i]! + paddings[i]![0]! + paddings[i]![1]!) / block;
    });
    return backend.output(backend.native.spaceToBatch(backend.handle(x), blockShape, paddings.flat()), shape, x.dtype);
  },
);
