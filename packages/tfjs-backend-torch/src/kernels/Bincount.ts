// How often each integer below size occurs, or the sum of its weights.
import type {BincountAttrs, BincountInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<BincountInputs, BincountAttrs>('Bincount', ({inputs: {x, weights}, attrs: {size}, backend}) =>
  backend.output(
    backend.native.bincount(backend.handle(x), backend.handle(weights), size, false),
    [size],
    weights.dtype,
  ),
);
