// Convolution of images; the filter is [h, w, in / groups, out].
import {backend_util, type Conv2DAttrs, type Conv2DInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<Conv2DInputs, Conv2DAttrs>('Conv2D', ({inputs: {x, filter}, attrs, backend}) => {
  const info = backend_util.computeConv2DInfo(
    x.shape as [number, number, number, number],
    filter.shape as [number, number, number, number],
    attrs.strides,
    attrs.dilations,
    attrs.pad,
    attrs.dimRoundingMode,
    false,
    backend_util.convertConv2DDataFormat(attrs.dataFormat),
  );
  const {stride, dilation, before, out, channelsLast} = windows2d(info);
  const handle = backend.native.conv(
    backend.handle(x),
    backend.handle(filter),
    stride,
    dilation,
    before,
    out,
    channelsLast,
  );
  return backend.output(handle, info.outShape, 'float32');
});
