// Images [N, H, W, C] mirrored along W.
import type {FlipLeftRightInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<FlipLeftRightInputs>('FlipLeftRight', ({inputs: {image}, backend}) =>
  backend.output(backend.native.reverse(backend.handle(image), [2]), image.shape, image.dtype),
);
