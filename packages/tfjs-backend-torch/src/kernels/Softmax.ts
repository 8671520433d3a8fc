// Softmax over one axis.
import type {SoftmaxAttrs, SoftmaxInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<SoftmaxInputs, SoftmaxAttrs>('Softmax', ({inputs: {logits}, attrs: {dim}, backend}) =>
  backend.output(backend.native.softmax(backend.handle(logits), dim), logits.shape, 'float32'),
);
