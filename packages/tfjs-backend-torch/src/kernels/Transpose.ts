// Axes in another order.
import type {TransposeAttrs, TransposeInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<TransposeInputs, TransposeAttrs>('Transpose', ({inputs: {x}, attrs: {perm}, backend}) =>
  backend.output(
    backend.native.transpose(backend.handle(x), perm),
    perm.map(axis => x.shape[axis]!),
    x.dtype,
  ),
);
