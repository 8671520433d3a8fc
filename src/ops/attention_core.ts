// Softmax attention over heads already split, and its gradient, from plain operations: what both attention operations share.
import * as tf from '../tf.ts';

/** q [N, h, L, d], k, v [N, h, M, d], mask broadcast to [N, h, L, M] and added: the output and the probabilities. */
export function attend(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  mask?: tf.Tensor,
): {y: tf.Tensor4D; p: tf.Tensor4D} {
  const scores: tf.Tensor4D = tf.matMul(tf.mul(q, scaleOf(q)), k, false, true);
  const p = tf.softmax(mask ? tf.add(scores, mask) : scores) as tf.Tensor4D;
  return {y: tf.matMul(p, v), p};
}

/** Gradients of `attend` for q, k and v. */
export function attendGradient(
  dy: tf.Tensor4D,
  p: tf.Tensor4D,
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
): [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] {
  const dv: tf.Tensor4D = tf.matMul(p, dy, true, false);
  const dp = tf.mul(tf.matMul(dy, v, false, true), p);
  const dScores: tf.Tensor4D = tf.mul(tf.sub(dp, tf.mul(p, tf.sum(dp, 3, true))), scaleOf(q));
  return [tf.matMul(dScores, k), tf.matMul(dScores, q, true, false), dv];
}

function scaleOf(q: tf.Tensor4D): number {
  return 1 / Math.sqrt(q.shape[3]);
}

/** Added to a score that must not count; finite, so that a row of them alone does not give NaN. */
export const MASKED = -1e9;
