// The gradient of AvgPool3D.
import {type AvgPool3DGradAttrs, type AvgPool3DGradInputs, backend_util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows3d} from './windows.ts';

export default kernel<AvgPool3DGradInputs, AvgPool3DGradAttrs>(
  'AvgPool3DGrad',
  ({inputs: {dy, input}, attrs, backend}) => {
    const info = backend_util.computePool3DInfo(
      input.shape as [number, number, number, number, number],
      attrs.filterSize,
      attrs.strides,
      1,
      attrs.pad,
      attrs.dimRoundingMode,
    );
    const {kernel: size, stride, before, out} = windows3d(info);
    const handle = backend.native.avgPoolGrad(backend.handle(dy), backend.handle(input), size, stride, before, out);
    return backend.output(handle, input.shape, 'float32');
  },
);
