// Depthwise convolution, bias and activation.
import {backend_util, type FusedDepthwiseConv2DAttrs, type FusedDepthwiseConv2DInputs} from '@tensorflow/tfjs-core';
import {activationCode} from './activation.ts';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<FusedDepthwiseConv2DInputs, FusedDepthwiseConv2DAttrs>(
  'FusedDepthwiseConv2D',
  ({inputs: {x, filter, bias, preluActivationWeights}, attrs, backend}) => {
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
      backend.optionalHandle(bias),
      stride,
      dilation,
      before,
      out,
      true,
      activationCode(attrs.activation),
      backend.optionalHandle(preluActivationWeights),
      attrs.leakyreluAlpha ?? 0,
    );
    return backend.output(handle, info.outShape, 'float32');
  },
);
