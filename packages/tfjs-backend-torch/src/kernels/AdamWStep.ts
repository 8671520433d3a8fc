// One AdamW step for all parameters, in place: what is written keeps its storage. Nothing is written where the gradient's
// norm is not finite.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

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
  const handles = backend.handles(inputs);
  const list = (i: number) => handles.slice(1 + i * count, 1 + (i + 1) * count);
  const [variables, gradients, m, v] = [list(0), list(1), list(2), list(3)];
  const averages = ema ? list(4) : [];
  if (backend.native.anyShared([...variables, ...m, ...v, ...averages])) {
    throw new Error(
      'AdamWStep: two of the variables, moments and averages share their values (tf.clone does not copy); they are written in place and must each have their own.',
    );
  }
  backend.native.finishReads();
  return [
    backend.output(backend.native.adamW(handles[0]!, variables, gradients, m, v, averages, decay), [], 'float32'),
  ];
});
