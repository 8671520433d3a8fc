// Convolution of each channel by itself; the filter is [h, w, in, multiplier].
import {backend_util, type DepthwiseConv2dNativeAttrs, type DepthwiseConv2dNativeInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<DepthwiseConv2dNativeInputs, DepthwiseConv2dNativeAttrs>(
  'DepthwiseConv2dNative',
  ({inputs: {x, filter}, attrs, backend}) => {
    const info = backend_util.computeConv2DInfo(
      x.shape as [number, number, number, number],
      filter.shape as [number, number, number, number],
      attrs.strides,
      attrs.dilations ?? 1,
      attrs.pad,
      attrs.dimRoundingMode,
      true,
    );
    const {stride, dilation, before, out} = windows2d(info);
    const handle = backend.native.depthwiseConv(
      backend.handle(x),
      backend.handle(filter),
      undefined,
      stride,
      dilation,
      before,
      out,
      true,
      0,
      undefined,
      0,
    );
    return backend.output(handle, info.outShape, 'float32');
  },
);
