// Grey-scale dilation: the maximum over windows of image plus filter.
import {backend_util, type Dilation2DAttrs, type Dilation2DInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<Dilation2DInputs, Dilation2DAttrs>('Dilation2D', ({inputs: {x, filter}, attrs, backend}) => {
  const info = backend_util.computeDilation2DInfo(
    x.shape as [number, number, number, number],
    filter.shape as [number, number, number],
    attrs.strides,
    attrs.pad,
    'NHWC',
    attrs.dilations,
  );
  const {stride, dilation, before, out} = windows2d(info);
  const handle = backend.native.dilation(backend.handle(x), backend.handle(filter), stride, dilation, before, out);
  return backend.output(handle, info.outShape, x.dtype);
});
