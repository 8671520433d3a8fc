// A tensor taken apart along an axis, which disappears.
import type {UnpackAttrs, UnpackInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<UnpackInputs, UnpackAttrs>('Unpack', ({inputs: {value}, attrs, backend}) => {
  const axis = attrs.axis < 0 ? attrs.axis + value.shape.length : attrs.axis;
  const shape = value.shape.filter((_, i) => i !== axis);
  return backend.native
    .unstack(backend.handle(value), axis)
    .map(handle => backend.output(handle, shape.slice(), value.dtype));
});
