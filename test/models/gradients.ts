// Gradients of blocks by finite differences, and the same on two engines.
import type {Block} from '../../src/layers/block.ts';
import * as tf from '../../src/tf.ts';
import {random} from './tiny.ts';

/** A scalar that weighs every output with a fixed random number, in float64 for differences. */
export function probe(f: () => tf.Tensor): {loss: () => tf.Scalar; exact: () => number} {
  const weights = tf.tidy(() => random(...(f().shape as tf.ShapeMap[tf.Rank])));
  const w = weights.dataSync();
  return {
    loss: () => tf.sum(tf.mul(f(), weights)),
    exact: () => {
      const y = Float32Array.from(tf.tidy(() => f().dataSync()));
      return y.reduce((sum, value, i) => sum + value * w[i]!, 0);
    },
  };
}

/**
 * For every weight: the derivative along a random direction by central differences and by the gradient. Returns the
 * largest difference relative to the gradient's length (times the direction's, over the root of its size), by path.
 */
export function weightGradientErrors(block: Block, f: () => tf.Tensor, step = 1e-2): Record<string, number> {
  const {loss, exact} = probe(f);
  const weights = block.trainableNamedWeights();
  const list = [...weights.values()];
  const {grads} = tf.variableGrads(loss, list);
  const errors: Record<string, number> = {};
  for (const [path, variable] of weights) {
    const gradient = Float32Array.from(grads[variable.name]!.dataSync());
    const direction = random(...(variable.shape as tf.ShapeMap[tf.Rank]));
    const d = direction.dataSync();
    const kept = variable.clone();
    const at = (sign: number) => {
      variable.assign(tf.tidy(() => tf.add(kept, tf.mul(direction, sign * step))));
      return exact();
    };
    const numeric = (at(1) - at(-1)) / (2 * step);
    variable.assign(kept);
    const analytic = gradient.reduce((sum, g, i) => sum + g * d[i]!, 0);
    const length = Math.hypot(...gradient);
    errors[path] = Math.abs(numeric - analytic) / Math.max(length, 1e-3);
  }
  tf.dispose(grads);
  return errors;
}

/** Gradients by path on the engine in use, as host arrays; weights and inputs must be made on it. */
export function weightGradients(block: Block, loss: () => tf.Scalar): Map<string, Float32Array> {
  const weights = block.trainableNamedWeights();
  const {grads} = tf.variableGrads(loss, [...weights.values()]);
  const found = new Map(
    [...weights].map(([path, variable]) => [path, Float32Array.from(grads[variable.name]!.dataSync())]),
  );
  tf.dispose(grads);
  return found;
}
