// The gradient of MaxPool.
import {backend_util, type MaxPoolGradAttrs, type MaxPoolGradInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<MaxPoolGradInputs, MaxPoolGradAttrs>('MaxPoolGrad', ({inputs: {dy, input}, attrs, backend}) => {
  const info = backend_util.computePool2DInfo(
    input.shape as [number, number, number, number],
    attrs.filterSize,
    attrs.strides,
    1,
    attrs.pad,
    attrs.dimRoundingMode,
  );
  const {kernel: size, stride, dilation, before, out} = windows2d(info);
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
});
