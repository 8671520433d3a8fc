// Images [N, H, W, C] resized by bilinear interpolation.
import type {ResizeBilinearAttrs, ResizeBilinearInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ResizeBilinearInputs, ResizeBilinearAttrs>(
  'ResizeBilinear',
  ({inputs: {images}, attrs, backend}) => {
    const [height, width] = attrs.size;
    const shape = [images.shape[0]!, height, width, images.shape[3]!];
    const handle = backend.native.resizeBilinear(
      backend.handle(images),
      height,
      width,
      attrs.alignCorners,
      attrs.halfPixelCenters,
    );
    return backend.output(handle, shape, 'float32');
  },
);
