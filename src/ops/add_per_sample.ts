// Adds one vector per sample to every pixel: the timestep embedding in a residual block, with a convolution's bias where it is
// kept apart. Kernels BiasTimestepAdd and BiasTimestepAddGrad.
import * as tf from '../tf.ts';
import {columnSum, sampleSum} from './column_sum.ts';
import {fusedOp} from './fused.ts';

/** x [N, ..., C] + embedding [N, C] (+ bias [C]). */
export function addPerSample<X extends tf.Tensor>(x: X, embedding: tf.Tensor, bias?: tf.Tensor): X {
  if (embedding.rank !== 2 || embedding.shape[0] !== x.shape[0] || embedding.shape[1] !== x.shape[x.rank - 1]) {
    throw new Error(`addPerSample: embedding [N, C] for x [N, ..., C], got [${embedding.shape}] and [${x.shape}].`);
  }
  return run(bias ? [x, embedding, bias] : [x, embedding], {}) as X;
}

const run = fusedOp<Record<string, never>>({
  name: 'addPerSample',
  kernel: 'BiasTimestepAdd',
  saveInputs: [],
  saveOutputs: [false],
  plain([x, embedding, bias]) {
    const perSample = bias ? tf.add(embedding!, bias) : embedding!;
    const middle = Array.from({length: x!.rank - 2}, () => 1);
    return [tf.add(x!, tf.reshape(perSample, [x!.shape[0]!, ...middle, x!.shape[x!.rank - 1]!]))];
  },
  gradient: ({dy}) => [() => tf.clone(dy), () => sampleSum(dy), () => columnSum(dy)],
});
