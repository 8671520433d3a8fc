// Mean over windows of a video; padding is not counted.
import {type AvgPool3DAttrs, type AvgPool3DInputs, backend_util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows3d} from './windows.ts';

export default kernel<AvgPool3DInputs, AvgPool3DAttrs>('AvgPool3D', ({inputs: {x}, attrs, backend}) => {
  const info = backend_util.computePool3DInfo(
    x.shape as [number, number, number, number, number],
    attrs.filterSize,
    attrs.strides,
    1,
    attrs.pad,
    attrs.dimRoundingMode,
  );
  const {kernel: size, stride, before, out} = windows3d(info);
  const handle = backend.native.avgPool(backend.handle(x), size, stride, before, out);
  return backend.output(handle, info.outShape, x.dtype);
});
