// Sums over all axes but the last: the gradient of a bias.
import * as tf from '../tf.ts';
import {hasKernel, runFused} from './fused.ts';

/** x [..., C] -> [C]. Meant for gradients: not differentiable where the backend has the kernel. */
export function columnSum(x: tf.Tensor): tf.Tensor1D {
  if (hasKernel('ColumnSum')) return runFused('ColumnSum', [x], {})[0] as tf.Tensor1D;
  return tf.sum(tf.reshape(x, [-1, x.shape[x.rank - 1]!]), 0);
}

/** x [N, ..., C] -> [N, C]: sums over the axes between. Meant for gradients. */
export function sampleSum(x: tf.Tensor): tf.Tensor2D {
  if (hasKernel('BiasTimestepAddGrad')) return runFused('BiasTimestepAddGrad', [x], {})[0] as tf.Tensor2D;
  return tf.sum(tf.reshape(x, [x.shape[0]!, -1, x.shape[x.rank - 1]!]), 1);
}
