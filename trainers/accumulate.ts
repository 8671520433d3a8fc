// Gradient accumulation: the mean over micro-batches, which is the gradient of the large batch.
import * as tf from '../src/tf.ts';
import type {Slot} from './optimizer.ts';

export function zeroGradients(slots: readonly Slot[]): tf.Tensor[] {
  return slots.map(({variable}) => tf.zeros(variable.shape));
}

/** Replaces each total by total + weight * gradient, in `totals`, and disposes of what it no longer needs. */
export function addGradients(totals: tf.Tensor[], gradients: readonly tf.Tensor[], weight: number): tf.Tensor[] {
  for (const [i, gradient] of gradients.entries()) {
    const before = totals[i]!;
    totals[i] = tf.tidy(() => tf.add(before, tf.mul(gradient, weight)));
    tf.dispose([before, gradient]);
  }
  return totals;
}
