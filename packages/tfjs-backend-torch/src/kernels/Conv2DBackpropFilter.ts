// The gradient of Conv2D with respect to the filter.
import {backend_util, type Conv2DBackpropFilterAttrs, type Conv2DBackpropFilterInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows2d} from './windows.ts';

export default kernel<Conv2DBackpropFilterInputs, Conv2DBackpropFilterAttrs & {dilations?: number | [number, number]}>(
  'Conv2DBackpropFilter',
  ({inputs: {x, dy}, attrs, backend}) => {
    const info = backend_util.computeConv2DInfo(
      x.shape as [number, number, number, number],
      attrs.filterShape as [number, number, number, number],
      attrs.strides,
      attrs.dilations ?? 1,
      attrs.pad,
      attrs.dimRoundingMode,
      false,
      backend_util.convertConv2DDataFormat(attrs.dataFormat),
    );
    const {stride, dilation, before, channelsLast} = windows2d(info);
    const handle = backend.native.convFilterGrad(
      backend.handle(x),
      backend.handle(dy),
      attrs.filterShape,
      stride,
      dilation,
      before,
      channelsLast,
    );
    return backend.output(handle, attrs.filterShape, 'float32');
  },
);
