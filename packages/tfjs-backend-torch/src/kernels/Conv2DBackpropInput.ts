// The gradient of Conv2D with respect to the image; also the transposed convolution.
import {backend_util, type Conv2DBackpropInputAttrs, type Conv2DBackpropInputInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<Conv2DBackpropInputInputs, Conv2DBackpropInputAttrs & {dilations?: number | [number, number]}>(
  'Conv2DBackpropInput',
  ({inputs: {dy, filter}, attrs, backend}) => {
    const info = backend_util.computeConv2DInfo(
      attrs.inputShape as [number, number, number, number],
      filter.shape as [number, number, number, number],
      attrs.strides,
      attrs.dilations ?? 1,
      attrs.pad,
      attrs.dimRoundingMode,
      false,
      backend_util.convertConv2DDataFormat(attrs.dataFormat),
    );
    const {stride, dilation, before, out, channelsLast} = windows2d(info);
    const handle = backend.native.convInputGrad(
      backend.handle(dy),
      backend.handle(filter),
      info.inShape,
      stride,
      dilation,
      before,
      out,
      channelsLast,
    );
    return backend.output(handle, info.inShape, 'float32');
  },
);
