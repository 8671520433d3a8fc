// Images [N, H, W, C] resized by the nearest pixel.
import type {ResizeNearestNeighborAttrs, ResizeNearestNeighborInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ResizeNearestNeighborInputs, ResizeNearestNeighborAttrs>(
  'ResizeNearestNeighbor',
  ({inputs: {images}, attrs, backend}) => {
    const [height, width] = attrs.size;
    const shape = [images.shape[0]!, height, width, images.shape[3]!];
    const handle = backend.native.resizeNearest(
      backend.handle(images),
      height,
      width,
      attrs.alignCorners,
      attrs.halfPixelCenters,
    );
    return backend.output(handle, shape, images.dtype);
  },
);
