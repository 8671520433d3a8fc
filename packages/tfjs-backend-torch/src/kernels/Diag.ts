// A tensor whose diagonal is the given one: shape [...s, ...s].
import type {DiagInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<DiagInputs>('Diag', ({inputs: {x}, backend}) =>
  backend.output(backend.native.diag(backend.handle(x)), [...x.shape, ...x.shape], x.dtype),
);
