// Blocks of pixels laid out as channels: the inverse of DepthToSpace, and its gradient.
import type {DepthToSpaceAttrs, TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<{x: TensorInfo}, DepthToSpaceAttrs>(
  'SpaceToDepth',
  ({inputs: {x}, attrs: {blockSize, dataFormat}, backend}) => {
    const last = dataFormat === 'NHWC';
    const [n, a, b, c] = x.shape as [number, number, number, number];
    const [height, width, depth] = last ? [a, b, c] : [b, c, a];
    const out = [height / blockSize, width / blockSize];
    const channels = depth * blockSize * blockSize;
    const shape = last ? [n, ...out, channels] : [n, channels, ...out];
    return backend.output(backend.native.spaceToDepth(backend.handle(x), blockSize, last), shape, x.dtype);
  },
);
