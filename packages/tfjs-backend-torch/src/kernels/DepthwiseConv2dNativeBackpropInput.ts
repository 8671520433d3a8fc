// The gradient of a depthwise convolution with respect to the image.
import {
  backend_util,
  type DepthwiseConv2dNativeBackpropInputAttrs,
  type DepthwiseConv2dNativeBackpropInputInputs,
} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<DepthwiseConv2dNativeBackpropInputInputs, DepthwiseConv2dNativeBackpropInputAttrs>(
  'DepthwiseConv2dNativeBackpropInput',
  ({inputs: {dy, filter}, attrs, backend}) => {
    const info = backend_util.computeConv2DInfo(
      attrs.inputShape as [number, number, number, number],
      filter.shape as [number, number, number, number],
      attrs.strides,
      attrs.dilations ?? 1,
      attrs.pad,
      attrs.dimRoundingMode,
      true,
    );
    const {stride, dilation, before} = windows2d(info);
    const handle = backend.native.depthwiseInputGrad(
      backend.handle(dy),
      backend.handle(filter),
      info.inShape,
      stride,
      dilation,
      before,
    );
    return backend.output(handle, info.inShape, 'float32');
  },
);
