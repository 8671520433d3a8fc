// One update of weights whose learning rates are multiples of the optimiser's: a call of AdamW for each rate, all with one
// clipping, by the norm of all gradients together. Made of tensors alone, so that it can be captured.
import {type AdamWSlot, adamWScalarNames, adamWStep} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';

/** An AdamW slot and its share of the learning rate. */
export interface RatedSlot {
  readonly slot: AdamWSlot;
  readonly rate: number;
}

/**
 * `scalars` [10] are the step's `adamWScalars`. Returns the norm of all gradients before clipping; where it is not finite,
 * nothing is changed.
 */
export function updateAtRates(slots: readonly RatedSlot[], scalars: tf.Tensor1D): tf.Scalar {
  return tf.tidy(() => {
    const of = Object.fromEntries(adamWScalarNames.map((name, i) => [name, tf.slice(scalars, [i], [1])])) as Record<
      (typeof adamWScalarNames)[number],
      tf.Tensor1D
    >;
    const squares = slots.map(({slot}) => tf.sum(tf.square(slot.gradient)));
    const norm = tf.mul(tf.sqrt(tf.addN(squares)), tf.abs(of.gradScale));
    const clip = tf.minimum(1, tf.div(of.clipNorm, tf.add(norm, 1e-6)));
    // Zero, or NaN for a norm that is not finite: then no call changes anything, also of gradients that are finite themselves.
    const spoiled = tf.mul(norm, 0);
    for (const rate of new Set(slots.map(one => one.rate))) {
      const changed = {
        learningRate: tf.mul(of.learningRate, rate),
        gradScale: tf.mul(of.gradScale, clip),
        clipNorm: tf.fill([1], Number.POSITIVE_INFINITY),
      };
      const own = tf.concat(adamWScalarNames.map(name => ({...of, ...changed})[name])) as tf.Tensor1D;
      const group = slots.flatMap(one => (one.rate === rate ? [one.slot] : []));
      adamWStep(group, tf.add(own, spoiled));
    }
    return tf.reshape(norm, []) as tf.Scalar;
  });
}
