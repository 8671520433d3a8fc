// One AdamW step for all parameters, in place: what is written keeps its storage. Nothing is written where the gradient's
// norm is not finite.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {makeSoleOwner} from './sole_owner.ts';

interface Attrs {
  /** Number of parameters. */
  count: number;
  /** Whether averages follow the second moments. */
  ema: boolean;
  /** Per parameter: whether weight decay applies. */
  decay: boolean[];
}

export default kernel<TensorInfo[], Attrs>('AdamWStep', ({inputs, attrs: {count, ema, decay}, backend}) => {
  const expected = 1 + (ema ? 5 : 4) * count;
  if (inputs.length !== expected) {
    throw new Error(`AdamWStep: ${count} parameters need ${expected} inputs, got ${inputs.length}.`);
  }
  // Everything but the scalars and the gradients is written.
  inputs.forEach((input, i) => {
    if (i > 0 && Math.floor((i - 1) / count) !== 1) makeSoleOwner('AdamWStep', input, backend);
  });
  const handles = backend.handles(inputs);
  const list = (i: number) => handles.slice(1 + i * count, 1 + (i + 1) * count);
  const [variables, gradients, m, v] = [list(0), list(1), list(2), list(3)];
  const averages = ema ? list(4) : [];
  backend.native.finishReads();
  return [
    backend.output(backend.native.adamW(handles[0]!, variables, gradients, m, v, averages, decay), [], 'float32'),
  ];
});
