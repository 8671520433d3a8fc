// The gradient of ResizeNearestNeighbor.
import type {ResizeNearestNeighborGradAttrs, ResizeNearestNeighborGradInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ResizeNearestNeighborGradInputs, ResizeNearestNeighborGradAttrs>(
  'ResizeNearestNeighborGrad',
  ({inputs: {images, dy}, attrs, backend}) => {
    const [, height, width] = images.shape as [number, number, number, number];
    const handle = backend.native.resizeNearestGrad(backend.handle(dy), height, width, attrs.alignCorners);
    return backend.output(handle, images.shape, 'float32');
  },
);
