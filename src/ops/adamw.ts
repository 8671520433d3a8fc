// One AdamW step (Loshchilov and Hutter 2019) with global-norm clipping and an exponential moving average, for all parameters
// at once. Kernel AdamWStep writes in place, with every number that changes from step to step in one device tensor.
import * as tf from '../tf.ts';
import {hasKernel, runFused} from './fused.ts';
import {adamWScalarNames} from './kernel_contracts.ts';

export interface AdamWSlot {
  variable: tf.Variable;
  gradient: tf.Tensor;
  /** First and second moment, zero before step 1. */
  m: tf.Variable;
  v: tf.Variable;
  /** Average of the variable; all slots have one or none has. */
  ema?: tf.Variable;
  /** Whether weight decay applies; true where absent. */
  decay?: boolean;
}

export interface AdamWOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** From 1: the first update is step 1. */
  step: number;
  emaDecay?: number;
  /** Gradients longer than this, all together, are scaled down to it; absent: never. */
  clipNorm?: number;
  /** Multiplies every gradient first, for example 1 / micro-steps; 1 where absent. */
  gradScale?: number;
}

/** The step's numbers in the kernel's order: the contents of a tensor made once and refilled, where steps are captured. */
export function adamWScalars(options: AdamWOptions): Float32Array {
  const {learningRate, beta1, beta2, epsilon, weightDecay, step} = options;
  const {emaDecay = 0, clipNorm = Number.POSITIVE_INFINITY, gradScale = 1} = options;
  const biasCorrection1 = 1 - beta1 ** step;
  const biasCorrection2 = 1 - beta2 ** step;
  const byName = {
    learningRate,
    beta1,
    beta2,
    epsilon,
    weightDecay,
    biasCorrection1,
    biasCorrection2,
    emaDecay,
    clipNorm,
    gradScale,
  };
  return Float32Array.from(adamWScalarNames, name => byName[name]);
}

/**
 * Updates variables, moments and averages, and returns the gradient's norm before clipping (after gradScale).
 * Where the norm is not finite nothing is changed: the caller sees it in the returned number.
 * `options` may be a tensor of `adamWScalars`, so that a captured step reads them anew.
 */
export function adamWStep(slots: readonly AdamWSlot[], options: AdamWOptions | tf.Tensor1D): tf.Scalar {
  const ema = slots[0]?.ema !== undefined;
  if (slots.some(slot => (slot.ema !== undefined) !== ema))
    throw new Error('adamWStep: all slots have an average or none.');
  if (!hasKernel('AdamWStep')) {
    const values = options instanceof tf.Tensor ? options.dataSync<'float32'>() : adamWScalars(options);
    return plainStep(slots, Float32Array.from(values));
  }
  return tf.tidy(() => {
    const scalars = options instanceof tf.Tensor ? options : tf.tensor1d(adamWScalars(options), 'float32');
    const averages = ema ? slots.map(slot => slot.ema!) : [];
    const inputs = [
      scalars,
      ...slots.map(slot => slot.variable),
      ...slots.map(slot => slot.gradient),
      ...slots.map(slot => slot.m),
      ...slots.map(slot => slot.v),
      ...averages,
    ];
    const decay = slots.map(slot => slot.decay ?? true);
    return runFused('AdamWStep', inputs, {count: slots.length, ema, decay})[0] as tf.Scalar;
  });
}

/** The same from plain operations: the oracle of the kernels. */
function plainStep(slots: readonly AdamWSlot[], scalars: Float32Array): tf.Scalar {
  const named = Object.fromEntries(adamWScalarNames.map((name, i) => [name, scalars[i]!]));
  const {learningRate, beta1, beta2, epsilon, weightDecay, biasCorrection1, biasCorrection2, ...rest} = named as Record<
    (typeof adamWScalarNames)[number],
    number
  >;
  const {emaDecay, clipNorm, gradScale} = rest;
  return tf.tidy(() => {
    const squares = slots.map(({gradient}) => tf.sum(tf.square(gradient)));
    const norm = tf.mul(tf.sqrt(squares.length > 0 ? tf.addN(squares) : tf.scalar(0)), Math.abs(gradScale));
    const length = norm.dataSync()[0]!;
    if (!Number.isFinite(length)) return tf.reshape(norm, []) as tf.Scalar;
    const clipped = gradScale * Math.min(1, clipNorm / (length + 1e-6));
    for (const {variable, gradient, m, v, ema, decay = true} of slots) {
      tf.tidy(() => {
        const g = tf.mul(gradient, clipped);
        m.assign(tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1)));
        v.assign(tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2)));
        const step = tf.div(
          tf.mul(m, learningRate / biasCorrection1),
          tf.add(tf.sqrt(tf.div(v, biasCorrection2)), epsilon),
        );
        variable.assign(tf.sub(decay ? tf.mul(variable, 1 - learningRate * weightDecay) : variable, step));
        ema?.assign(tf.add(tf.mul(ema, emaDecay), tf.mul(variable, 1 - emaDecay)));
      });
    }
    return tf.reshape(norm, []) as tf.Scalar;
  });
}
