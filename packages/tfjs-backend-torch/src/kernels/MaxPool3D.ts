// Maximum over windows of a video.
import {backend_util, type MaxPool3DAttrs, type MaxPool3DInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows3d} from './windows.ts';

export default kernel<MaxPool3DInputs, MaxPool3DAttrs>('MaxPool3D', ({inputs: {x}, attrs, backend}) => {
  const info = backend_util.computePool3DInfo(
    x.shape as [number, number, number, number, number],
    attrs.filterSize,
    attrs.strides,
    1,
    attrs.pad,
    attrs.dimRoundingMode,
  );
  const {kernel: size, stride, dilation, before, out} = windows3d(info);
  const handle = backend.native.maxPool(backend.handle(x), size, stride, dilation, before, out);
  return backend.output(handle, info.outShape, x.dtype);
});
