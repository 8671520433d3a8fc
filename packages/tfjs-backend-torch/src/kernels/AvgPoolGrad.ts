// The gradient of AvgPool.
import {type AvgPoolGradAttrs, type AvgPoolGradInputs, backend_util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<AvgPoolGradInputs, AvgPoolGradAttrs>('AvgPoolGrad', ({inputs: {dy, input}, attrs, backend}) => {
  const info = backend_util.computePool2DInfo(
    input.shape as [number, number, number, number],
    attrs.filterSize,
    attrs.strides,
    1,
    attrs.pad,
  );
  const {kernel: size, stride, before, out} = windows2d(info);
  const handle = backend.native.avgPoolGrad(backend.handle(dy), backend.handle(input), size, stride, before, out);
  return backend.output(handle, input.shape, 'float32');
});
