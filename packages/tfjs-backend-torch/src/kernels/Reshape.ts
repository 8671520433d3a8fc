// The same data under another shape: no copy.
import {type ReshapeAttrs, type ReshapeInputs, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ReshapeInputs, ReshapeAttrs>('Reshape', ({inputs: {x}, attrs, backend}) => {
  const size = util.sizeFromShape(x.shape);
  const shape = util.inferFromImplicitShape(attrs.shape, size);
  if (util.sizeFromShape(shape) !== size) {
    throw new Error(`${size} elements do not fit the shape [${shape}]; both must have the same number of elements.`);
  }
  return backend.alias(x, shape);
});
