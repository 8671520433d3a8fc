// The gradient of Conv3D with respect to the filter.
import {backend_util, type Conv3DBackpropFilterV2Attrs, type Conv3DBackpropFilterV2Inputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows3d} from './windows.ts';

export default kernel<
  Conv3DBackpropFilterV2Inputs,
  Conv3DBackpropFilterV2Attrs & {dilations?: number | [number, number, number]}
>('Conv3DBackpropFilterV2', ({inputs: {x, dy}, attrs, backend}) => {
  const info = backend_util.computeConv3DInfo(
    x.shape as [number, number, number, number, number],
    attrs.filterShape as [number, number, number, number, number],
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
  );
  const {stride, dilation, before} = windows3d(info);
  const handle = backend.native.convFilterGrad(
    backend.handle(x),
    backend.handle(dy),
    attrs.filterShape,
    stride,
    dilation,
    before,
    true,
  );
  return backend.output(handle, attrs.filterShape, 'float32');
});
