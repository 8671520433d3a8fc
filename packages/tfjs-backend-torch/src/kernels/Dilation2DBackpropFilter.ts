// The gradient of Dilation2D with respect to the filter.
import {backend_util, type Dilation2DAttrs, type Dilation2DBackpropFilterInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<Dilation2DBackpropFilterInputs, Dilation2DAttrs>(
  'Dilation2DBackpropFilter',
  ({inputs: {x, filter, dy}, attrs, backend}) => {
    const info = backend_util.computeDilation2DInfo(
      x.shape as [number, number, number, number],
      filter.shape as [number, number, number],
      attrs.strides,
      attrs.pad,
      'NHWC',
      attrs.dilations,
    );
    const {stride, dilation, before, out} = windows2d(info);
    const [dyHandle, xHandle, filterHandle] = [backend.handle(dy), backend.handle(x), backend.handle(filter)];
    const handle = backend.native.dilationGrad(dyHandle, xHandle, filterHandle, stride, dilation, before, out, true);
    return backend.output(handle, filter.shape, filter.dtype);
  },
);
