// A box with strides, which may be negative; the masks are resolved by TensorFlow.js.
import {type StridedSliceAttrs, type StridedSliceInputs, slice_util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<StridedSliceInputs, StridedSliceAttrs>('StridedSlice', ({inputs: {x}, attrs, backend}) => {
  const {begin, end, strides, finalShape, isIdentity} = slice_util.sliceInfo(
    x.shape,
    attrs.begin,
    attrs.end,
    attrs.strides,
    attrs.beginMask,
    attrs.endMask,
    attrs.ellipsisMask,
    attrs.newAxisMask,
    attrs.shrinkAxisMask,
  );
  if (isIdentity) return backend.alias(x, finalShape);
  const sizes = slice_util.computeOutShape(begin, end, strides).map(size => Math.max(size, 0));
  const handle = backend.native.stridedSlice(backend.handle(x), begin, strides, sizes);
  return backend.outputAs(handle, sizes, finalShape, x.dtype);
});
