// Logarithm of the softmax over one axis.
import type {LogSoftmaxAttrs, LogSoftmaxInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<LogSoftmaxInputs, LogSoftmaxAttrs>('LogSoftmax', ({inputs: {logits}, attrs: {axis}, backend}) =>
  backend.output(backend.native.logSoftmax(backend.handle(logits), axis), logits.shape, 'float32'),
);
