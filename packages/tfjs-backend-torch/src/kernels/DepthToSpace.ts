// Channels laid out as blocks of pixels.
import type {DepthToSpaceAttrs, DepthToSpaceInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<DepthToSpaceInputs, DepthToSpaceAttrs>(
  'DepthToSpace',
  ({inputs: {x}, attrs: {blockSize, dataFormat}, backend}) => {
    const last = dataFormat === 'NHWC';
    const [n, a, b, c] = x.shape as [number, number, number, number];
    const [height, width, depth] = last ? [a, b, c] : [b, c, a];
    const out = [height * blockSize, width * blockSize];
    const channels = depth / (blockSize * blockSize);
    const shape = last ? [n, ...out, channels] : [n, channels, ...out];
    return backend.output(backend.native.depthToSpace(backend.handle(x), blockSize, last), shape, x.dtype);
  },
);
