// Shared by the tests of operations: reproducible tensors, and gradients by central differences.
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

let drawn = 0;

/** Standard normals, different at each call, the same in each run. */
export function randomTensor(shape: number[], scale = 1): tf.Tensor {
  const values = normals({seed: 7, stream: 1000, step: drawn++}, tf.util.sizeFromShape(shape));
  return tf.tensor(
    values.map(x => x * scale),
    shape,
    'float32',
  );
}

export function values(x: tf.Tensor): number[] {
  return Array.from(x.dataSync());
}

/** Largest |a - b| over the larger of 1 and max |b|. */
export function difference(a: tf.Tensor, b: tf.Tensor): number {
  if (!tf.util.arraysEqual(a.shape, b.shape)) throw new Error(`Shapes differ: [${a.shape}] and [${b.shape}].`);
  const [x, y] = [a.dataSync(), b.dataSync()];
  let worst = 0;
  let scale = 1;
  for (let i = 0; i < x.length; i++) {
    const d = Math.abs(x[i]! - y[i]!);
    if (Number.isNaN(d)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, d);
    scale = Math.max(scale, Math.abs(y[i]!));
  }
  return worst / scale;
}

/**
 * Compares f's gradient with central differences along a few random directions, for each input.
 * The scalar is sum(f(inputs) * weights) with fixed random weights. Returns the largest relative error.
 */
export function gradientError(f: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[], step = 1e-2): number {
  return tf.tidy(() => {
    const weights = randomTensor(f(...inputs).shape);
    const loss = (...xs: tf.Tensor[]) => tf.sum(tf.mul(f(...xs), weights)) as tf.Scalar;
    const grads = tf.grads(loss as (...xs: tf.Tensor[]) => tf.Tensor)(inputs);
    // Summed in float64: float32 sums would hide small errors.
    const exact = (...xs: tf.Tensor[]) => {
      const [y, w] = [f(...xs).dataSync(), weights.dataSync()];
      let sum = 0;
      for (let i = 0; i < y.length; i++) sum += y[i]! * w[i]!;
      return sum;
    };
    let worst = 0;
    for (const [i, input] of inputs.entries()) {
      for (let trial = 0; trial < 2; trial++) {
        const direction = randomTensor(input.shape);
        const moved = (sign: number) => inputs.map((x, j) => (j === i ? tf.add(x, tf.mul(direction, sign * step)) : x));
        const numeric = (exact(...moved(1)) - exact(...moved(-1))) / (2 * step);
        const [g, d] = [grads[i]!.dataSync(), direction.dataSync()];
        let analytic = 0;
        let length = 0;
        for (let j = 0; j < g.length; j++) {
          analytic += g[j]! * d[j]!;
          length += (g[j]! * d[j]!) ** 2;
        }
        worst = Math.max(worst, Math.abs(numeric - analytic) / Math.max(1e-2, Math.sqrt(length)));
      }
    }
    return worst;
  });
}
