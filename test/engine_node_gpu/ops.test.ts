// The vocabulary of the layers (src/ops) on tfjs-node's binding, forwards and backwards, against the cpu engine.
import {beforeAll, describe, expect, test} from 'vitest';
import {openNodeGpu} from '../../src/engine/node_gpu/index.ts';
import * as ops from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {expectLikeCpu} from './like_cpu.ts';
import {isSetUp, needs} from './set_up.ts';

describe.skipIf(!isSetUp)(`node-gpu: src/ops like on the cpu engine (${needs})`, () => {
  beforeAll(async () => {
    await openNodeGpu();
  });

  test('norms', async () => {
    const norm = {groups: 2, epsilon: 1e-5};
    await expectLikeCpu((x, g, b) => ops.groupNorm(x, g, b, {...norm, silu: true}), '3 4 4 6', '6', '6');
    await expectLikeCpu((x, g, b) => ops.groupNorm(x, g, b, norm), '2 3 4 2 4', '4', '4');
    const scaled = (x: tf.Tensor, g: tf.Tensor, b: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) =>
      ops.groupNorm(x, g, b, {
        ...norm,
        silu: true,
        scaleShift: {scale: scale as tf.Tensor2D, shift: shift as tf.Tensor2D},
      });
    await expectLikeCpu(scaled, '2 4 4 6', '6', '6', '2 6', '2 6');
    await expectLikeCpu((x, g, b) => ops.layerNorm(x, g, b, {epsilon: 1e-5}), '2 3 5 8', '8', '8');
  });

  test('attention over pixels, text and frames', async () => {
    const q = '2 6 8';
    await expectLikeCpu((q, k, v) => ops.attention(q, k, v, {heads: 2}), q, q, q);
    await expectLikeCpu((q, k, v) => ops.attention(q, k, v, {heads: 2}), q, '2 3 8', '2 3 8');
    await expectLikeCpu((q, k, v) => ops.attention(q, k, v, {heads: 2, causal: true}), q, q, q);
    const clip = '2 4 6 8';
    await expectLikeCpu((q, k, v) => ops.temporalAttention(q, k, v, {heads: 2}), clip, clip, clip);
    await expectLikeCpu((q, k, v) => ops.temporalAttention(q, k, v, {heads: 2, window: 1}), clip, clip, clip);
  });

  test('convolutions', async () => {
    await expectLikeCpu((x, k, b) => ops.conv2d(x, k, b, {stride: 2, pad: 1}), '2 6 6 3', '3 3 3 4', '4');
    await expectLikeCpu((x, k, b) => ops.conv2d(x, k, b), '2 6 5 3', '3 3 3 4', '4');
    await expectLikeCpu(
      (x, k) =>
        ops.conv2d(x, k, undefined, {
          stride: 2,
          pad: [
            [0, 1],
            [0, 1],
          ],
        }),
      '1 6 6 3',
      '3 3 3 4',
    );
    await expectLikeCpu((x, k, b) => ops.temporalConv(x, k, b), '2 4 3 3 3', '3 1 1 3 4', '4');
    await expectLikeCpu((x, k, b) => ops.temporalConv(x, k, b), '1 4 3 3 3', '3 3 3 3 4', '4');
  });

  test('activations, products, mixing and resizing', async () => {
    await expectLikeCpu(x => ops.silu(x), '3 4 5');
    await expectLikeCpu(x => ops.gelu(x), '3 4 5');
    await expectLikeCpu(x => ops.quickGelu(x), '3 4 5');
    await expectLikeCpu(x => ops.geglu(x), '3 4 6');
    await expectLikeCpu((x, k, b) => ops.linear(x, k, b), '2 3 5', '5 4', '4');
    await expectLikeCpu(x => ops.upsampleNearest2x(x), '2 3 4 5');
    await expectLikeCpu((x, e) => ops.addPerSample(x, e), '2 3 4 5', '2 5');
    await expectLikeCpu((s, t, a) => ops.alphaMix(s, t, tf.reshape(a, []) as tf.Scalar), '2 3 4 5', '2 3 4 5', '1');
    await expectLikeCpu((s, t, a) => ops.alphaMix(s, t, a as tf.Tensor1D), '2 3 4 5', '2 3 4 5', '3');
  });

  test('a step of AdamW changes the weights as on the cpu engine', async () => {
    const after: number[][] = [];
    for (const backend of ['tensorflow', 'cpu']) {
      await tf.setBackend(backend);
      const variable = tf.variable(tf.tensor1d([1, -2, 3]));
      const [m, v] = [tf.variable(tf.zeros([3])), tf.variable(tf.zeros([3]))];
      for (let step = 1; step <= 3; step++) {
        const gradient = tf.tensor1d([0.5 * step, -1, 4]);
        const options = {
          learningRate: 0.1,
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 1e-8,
          weightDecay: 0.01,
          step,
          clipNorm: 1,
        };
        tf.dispose([ops.adamWStep([{variable, gradient, m, v}], options), gradient]);
      }
      after.push(Array.from(variable.dataSync()));
      tf.dispose([variable, m, v]);
    }
    for (const [i, expected] of after[1]!.entries()) expect(after[0]![i]).toBeCloseTo(expected, 5);
    expect(after[1]).not.toEqual([1, -2, 3]);
  });
});
