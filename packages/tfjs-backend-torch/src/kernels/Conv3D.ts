// Convolution of videos [N, T, H, W, C]; the filter is [t, h, w, in / groups, out].
import {backend_util, type Conv3DAttrs, type Conv3DInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {windows3d} from './windows.ts';

export default kernel<Conv3DInputs, Conv3DAttrs>('Conv3D', ({inputs: {x, filter}, attrs, backend}) => {
  const info = backend_util.computeConv3DInfo(
    x.shape as [number, number, number, number, number],
    filter.shape as [number, number, number, number, number],
    attrs.strides,
    attrs.dilations,
    attrs.pad,
  );
  const {stride, dilation, before, out} = windows3d(info);
  const handle = backend.native.conv(backend.handle(x), backend.handle(filter), stride, dilation, before, out, true);
  return backend.output(handle, info.outShape, 'float32');
});
