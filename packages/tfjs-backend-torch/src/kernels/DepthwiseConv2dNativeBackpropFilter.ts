// The gradient of a depthwise convolution with respect to the filter.
import {
  backend_util,
  type DepthwiseConv2dNativeBackpropFilterAttrs,
  type DepthwiseConv2dNativeBackpropFilterInputs,
} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<DepthwiseConv2dNativeBackpropFilterInputs, DepthwiseConv2dNativeBackpropFilterAttrs>(
  'DepthwiseConv2dNativeBackpropFilter',
  ({inputs: {x, dy}, attrs, backend}) => {
    const info = backend_util.computeConv2DInfo(
      x.shape as [number, number, number, number],
      attrs.filterShape as [number, number, number, number],
      attrs.strides,
      attrs.dilations ?? 1,
      attrs.pad,
      attrs.dimRoundingMode,
      true,
    );
    const {stride, dilation, before} = windows2d(info);
    const handle = backend.native.depthwiseFilterGrad(
      backend.handle(x),
      backend.handle(dy),
      attrs.filterShape,
      stride,
      dilation,
      before,
    );
    return backend.output(handle, attrs.filterShape, 'float32');
  },
);
