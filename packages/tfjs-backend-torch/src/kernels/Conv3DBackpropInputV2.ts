// The gradient of Conv3D with respect to the video; also the transposed convolution.
import {backend_util, type Conv3DBackpropInputV2Attrs, type Conv3DBackpropInputV2Inputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows3d} from './windows.ts';

export default kernel<
  Conv3DBackpropInputV2Inputs,
  Conv3DBackpropInputV2Attrs & {dilations?: number | [number, number, number]}
>('Conv3DBackpropInputV2', ({inputs: {dy, filter}, attrs, backend}) => {
  const info = backend_util.computeConv3DInfo(
    attrs.inputShape as [number, number, number, number, number],
    filter.shape as [number, number, number, number, number],
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
  );
  const {stride, dilation, before, out} = windows3d(info);
  const handle = backend.native.convInputGrad(
    backend.handle(dy),
    backend.handle(filter),
    info.inShape,
    stride,
    dilation,
    before,
    out,
    true,
  );
  return backend.output(handle, info.inShape, 'float32');
});
