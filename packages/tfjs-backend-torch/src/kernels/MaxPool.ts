// Maximum over windows.
import {backend_util, type MaxPoolAttrs, type MaxPoolInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {isIdentity2d, windows2d} from './windows.ts';

export default kernel<MaxPoolInputs, MaxPoolAttrs>('MaxPool', ({inputs: {x}, attrs, backend}) => {
  const info = backend_util.computePool2DInfo(
    x.shape as [number, number, number, number],
    attrs.filterSize,
    attrs.strides,
    1,
    attrs.pad,
    attrs.dimRoundingMode,
  );
  // As TensorFlow.js has it, whatever the padding.
  if (isIdentity2d(info)) return backend.alias(x, x.shape);
  const {kernel: size, stride, dilation, before, out} = windows2d(info);
  const handle = backend.native.maxPool(backend.handle(x), size, stride, dilation, before, out);
  return backend.output(handle, info.outShape, x.dtype);
});
