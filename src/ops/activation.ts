// What silu, gelu and quickGelu share: kernels FusedActivation and FusedActivationGrad, and their plain versions.
import * as tf from '../tf.ts';
import {fusedOp, hasKernel, runFused} from './fused.ts';
import type {ActivationKind} from './kernel_contracts.ts';

/** Value and derivative of each activation, from plain operations. */
const activations = {
  silu: {value: x => tf.mul(x, tf.sigmoid(x)), derivative: x => gatedSlope(x, 1)},
  gelu: {value: x => tf.mul(x, normalCdf(x)), derivative: geluSlope},
  quickGelu: {value: x => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))), derivative: x => gatedSlope(x, 1.702)},
} satisfies Record<ActivationKind, {value: (x: tf.Tensor) => tf.Tensor; derivative: (x: tf.Tensor) => tf.Tensor}>;

export const activation = fusedOp<{kind: ActivationKind}>({
  name: 'activation',
  kernel: 'FusedActivation',
  saveInputs: [0],
  saveOutputs: [false],
  plain: ([x], {kind}) => [activations[kind].value(x!)],
  gradient: ({dy, inputs: [x], attrs}) => [
    () =>
      hasKernel('FusedActivationGrad')
        ? runFused('FusedActivationGrad', [dy, x!], attrs)[0]!
        : tf.mul(dy, activations[attrs.kind].derivative(x!)),
  ],
});

/** Phi(x) = (1 + erf(x / sqrt 2)) / 2. */
export function normalCdf(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
}

/** (x Phi(x))' = Phi(x) + x phi(x). */
export function geluSlope(x: tf.Tensor): tf.Tensor {
  const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return tf.add(normalCdf(x), tf.mul(x, density));
}

/** (x s(kx))' = s (1 + k x (1 - s)), s the logistic function. */
function gatedSlope(x: tf.Tensor, k: number): tf.Tensor {
  const s = tf.sigmoid(k === 1 ? x : tf.mul(x, k));
  return tf.mul(s, tf.add(tf.mul(tf.mul(x, k), tf.sub(1, s)), 1));
}
