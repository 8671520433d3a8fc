// 1 above 0, alpha elsewhere, NaN for NaN.
import type {StepAttrs, StepInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<StepInputs, StepAttrs>('Step', ({inputs: {x}, attrs: {alpha}, backend}) =>
  backend.output(backend.native.step(backend.handle(x), alpha), x.shape, x.dtype),
);
