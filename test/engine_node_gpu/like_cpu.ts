// Compares a function's value and gradients on tfjs-node's backend with the cpu engine's, on the same numbers.
import '@tensorflow/tfjs-backend-cpu';
import {expect} from 'vitest';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

/** Value and gradients of sum(w * f(...inputs)), w fixed and uneven so that no gradient is trivially constant. */
async function onBackend(
  name: string,
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  shapes: number[][],
): Promise<number[][]> {
  await tf.setBackend(name);
  const tensors = tf.tidy(() => {
    const inputs = shapes.map((shape, i) =>
      tf.tensor(normals({seed: 1, stream: 100 + i, step: 0}, tf.util.sizeFromShape(shape)), shape),
    );
    const output = f(...inputs);
    const weights = tf.tensor(normals({seed: 2, stream: 99, step: 0}, output.size), output.shape);
    return [output, ...tf.grads((...x: tf.Tensor[]) => tf.sum(tf.mul(f(...x), weights)))(inputs)];
  });
  const values = await Promise.all(tensors.map(async t => Array.from(await t.data())));
  tf.dispose(tensors);
  return values;
}

/** '2 3 4' -> [2, 3, 4] */
export const dims = (shape: string) => shape.split(' ').map(Number);

/**
 * Value and gradients within 2e-5 of the largest of them, for inputs of the given shapes ('2 3 4').
 */
export async function expectLikeCpu(f: (...inputs: tf.Tensor[]) => tf.Tensor, ...shapes: string[]): Promise<void> {
  const actual = await onBackend('tensorflow', f, shapes.map(dims));
  const expected = await onBackend('cpu', f, shapes.map(dims));
  for (const [i, values] of expected.entries()) {
    const scale = Math.max(...values.map(Math.abs), 1);
    const worst = Math.max(...values.map((v, j) => Math.abs(v - actual[i]![j]!)));
    expect(worst / scale, i === 0 ? 'value' : `gradient of input ${i - 1}`).toBeLessThan(2e-5);
    expect(actual[i]!.length).toBe(values.length);
  }
}
