// Convolution, bias and activation.
import {backend_util, type FusedConv2DAttrs, type FusedConv2DInputs} from '@tensorflow/tfjs-core';
import {activationCode, channelwise} from './activation.ts';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<FusedConv2DInputs, FusedConv2DAttrs>(
  'FusedConv2D',
  ({inputs: {x, filter, bias, preluActivationWeights}, attrs, backend}) => {
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
    const handle = backend.native.fusedConv(
      backend.handle(x),
      backend.handle(filter),
      backend.optionalHandle(bias),
      stride,
      dilation,
      before,
      out,
      channelsLast,
      activationCode(attrs.activation),
      backend.optionalHandle(channelwise(preluActivationWeights, channelsLast)),
      attrs.leakyreluAlpha ?? 0,
    );
    return backend.output(handle, info.outShape, 'float32');
  },
);
