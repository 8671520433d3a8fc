// Elements in reverse order along axes.
import {type ReverseAttrs, type ReverseInputs, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ReverseInputs, ReverseAttrs>('Reverse', ({inputs: {x}, attrs: {dims}, backend}) =>
  backend.output(backend.native.reverse(backend.handle(x), util.parseAxisParam(dims, x.shape)), x.shape, x.dtype),
);
