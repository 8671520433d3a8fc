// Shared by this package's tests: the formula of fixtures/generate.py, and comparison.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';

/** sin(0.37 i + seed) in the given shape. */
export function ramp<T extends tf.Tensor = tf.Tensor>(shape: number[], seed: number): T {
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({length: size}, (_, i) => Math.sin(0.37 * i + seed)),
    shape,
    'float32',
  ) as T;
}

/** Largest difference over the larger of 1 and the largest expected magnitude. */
export function difference(actual: tf.Tensor | ArrayLike<number>, expected: tf.Tensor | ArrayLike<number>): number {
  const [a, b] = [actual, expected].map(x => (x instanceof tf.Tensor ? x.dataSync() : x)) as [
    ArrayLike<number>,
    ArrayLike<number>,
  ];
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [worst, scale] = [0, 1];
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    worst = Math.max(worst, Number.isNaN(d) ? Number.POSITIVE_INFINITY : d);
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return worst / scale;
}

/** f's value and the gradients of sum(f(inputs) * ramp(seed 3)), which is what the fixtures hold. */
export function valueAndGradients<T extends tf.Tensor>(f: (...inputs: T[]) => tf.Tensor, inputs: T[]): tf.Tensor[] {
  const loss = (...xs: tf.Tensor[]): tf.Tensor => {
    const y = f(...(xs as T[]));
    return tf.sum(tf.mul(y, ramp(y.shape, 3)));
  };
  return [f(...inputs), ...tf.grads(loss)(inputs)];
}
