// The gradient of MaxPool3D.
import {backend_util, type MaxPool3DGradAttrs, type MaxPool3DGradInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows3d} from './windows.ts';

export default kernel<MaxPool3DGradInputs, MaxPool3DGradAttrs>(
  'MaxPool3DGrad',
  ({inputs: {dy, input}, attrs, backend}) => {
    const info = backend_util.computePool3DInfo(
      input.shape as [number, number, number, number, number],
      attrs.filterSize,
      attrs.strides,
      1,
      attrs.pad,
      attrs.dimRoundingMode,
    );
    const {kernel: size, stride, dilation, before, out} = windows3d(info);
    const handle = backend.native.maxPoolGrad(
      backend.handle(dy),
      backend.handle(input),
      size,
      stride,
      dilation,
      before,
      out,
    );
    return backend.output(handle, input.shape, 'float32');
  },
);
