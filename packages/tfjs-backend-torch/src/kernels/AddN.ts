// Sum of a list of tensors of one shape.
import type {AddNInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<AddNInputs>('AddN', ({inputs, backend}) =>
  backend.output(backend.native.addN(backend.handles(inputs)), inputs[0]!.shape, inputs[0]!.dtype),
);
