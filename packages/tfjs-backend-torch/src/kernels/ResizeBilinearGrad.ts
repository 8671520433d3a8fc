// The gradient of ResizeBilinear.
import type {ResizeBilinearGradAttrs, ResizeBilinearGradInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ResizeBilinearGradInputs, ResizeBilinearGradAttrs>(
  'ResizeBilinearGrad',
  ({inputs: {images, dy}, attrs, backend}) => {
    const [, height, width] = images.shape as [number, number, number, number];
    const handle = backend.native.resizeBilinearGrad(backend.handle(dy), height, width, attrs.alignCorners);
    return backend.output(handle, images.shape, 'float32');
  },
);
