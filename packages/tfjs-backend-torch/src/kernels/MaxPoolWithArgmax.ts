// Maximum over windows, and where it was found.
import {backend_util, type MaxPoolWithArgmaxAttrs, type MaxPoolWithArgmaxInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<MaxPoolWithArgmaxInputs, MaxPoolWithArgmaxAttrs>(
  'MaxPoolWithArgmax',
  ({inputs: {x}, attrs, backend}) => {
    const info = backend_util.computePool2DInfo(
      x.shape as [number, number, number, number],
      attrs.filterSize,
      attrs.strides,
      [1, 1],
      attrs.pad,
    );
    const {kernel: size, stride, before, out} = windows2d(info);
    const include = Boolean(attrs.includeBatchInIndex);
    const [values, positions] = backend.native.maxPoolWithArgmax(backend.handle(x), size, stride, before, out, include);
    return [backend.output(values, info.outShape, x.dtype), backend.output(positions, info.outShape, 'int32')];
  },
);
