// The same data with one more axis of size 1: no copy.
import type {ExpandDimsAttrs, ExpandDimsInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ExpandDimsInputs, ExpandDimsAttrs>('ExpandDims', ({inputs: {input}, attrs: {dim}, backend}) => {
  const rank = input.shape.length;
  if (dim < -(rank + 1) || dim > rank) throw new Error(`axis must be in [${-(rank + 1)}, ${rank}], got ${dim}`);
  const shape = input.shape.slice();
  shape.splice(dim < 0 ? rank + 1 + dim : dim, 0, 1);
  return backend.alias(input, shape);
});
