// Local response normalisation over channels.
import type {LRNAttrs, LRNInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<LRNInputs, LRNAttrs>('LRN', ({inputs: {x}, attrs: {depthRadius, bias, alpha, beta}, backend}) =>
  backend.output(backend.native.localResponse(backend.handle(x), depthRadius, bias, alpha, beta), x.shape, x.dtype),
);
