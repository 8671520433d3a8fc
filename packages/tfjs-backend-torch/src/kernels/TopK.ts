// The k largest of the last axis and their positions, largest first, of equals the first.
import type {TopKAttrs, TopKInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<TopKInputs, TopKAttrs>('TopK', ({inputs: {x}, attrs: {k}, backend}) => {
  const shape = [...x.shape.slice(0, -1), k];
  const [values, indices] = backend.native.topK(backend.handle(x), k);
  return [backend.output(values, shape, x.dtype), backend.output(indices, shape, 'int32')];
});
