// Every operation on cpu (plain versions) and wasm (fused kernels): gradients against finite differences, and wasm's values and
// gradients against cpu's, at sizes that are no multiple of four and at some that are.
import {beforeAll, describe, expect, test} from 'vitest';
import {type EngineName, openEngine, valueAndGrads} from '../../src/engine/index.ts';
import * as ops from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {difference, gradientError, randomTensor} from './support.ts';

type F = (...inputs: tf.Tensor[]) => tf.Tensor;
type Case = [shapes: number[][], f: F];

const epsilon = 1e-5;
const cases: Record<string, Case> = {
  'groupNorm [N,H,W,C]': [[[2, 3, 5, 6], [6], [6]], (x, g, b) => ops.groupNorm(x!, g!, b!, {groups: 2, epsilon})],
  'groupNorm [B,T,H,W,C] with silu': [
    [[2, 3, 4, 5, 16], [16], [16]],
    (x, g, b) => ops.groupNorm(x!, g!, b!, {groups: 4, epsilon, silu: true}),
  ],
  'groupNorm over more rows than a chunk': [
    [[1, 15, 20, 8], [8], [8]],
    (x, g, b) => ops.groupNorm(x!, g!, b!, {groups: 8, epsilon, silu: true}),
  ],
  'groupNorm with scale, shift and silu': [
    [[2, 3, 5, 6], [6], [6], [2, 6], [2, 6]],
    (x, g, b, scale, shift) =>
      ops.groupNorm(x!, g!, b!, {groups: 3, epsilon, silu: true, scaleShift: {scale: scale!, shift: shift!}}),
  ],
  layerNorm: [[[2, 3, 7], [7], [7]], (x, g, b) => ops.layerNorm(x!, g!, b!, {epsilon})],
  'attention, self': [
    [
      [2, 5, 8],
      [2, 5, 8],
      [2, 5, 8],
    ],
    (q, k, v) => ops.attention(q!, k!, v!, {heads: 2}),
  ],
  'attention, cross, 64 queries': [
    [
      [2, 64, 32],
      [2, 7, 32],
      [2, 7, 32],
    ],
    (q, k, v) => ops.attention(q!, k!, v!, {heads: 2}),
  ],
  'attention, causal': [
    [
      [2, 4, 6],
      [2, 4, 6],
      [2, 4, 6],
    ],
    (q, k, v) => ops.attention(q!, k!, v!, {heads: 1, causal: true}),
  ],
  temporalAttention: [
    [
      [2, 4, 3, 6],
      [2, 4, 3, 6],
      [2, 4, 3, 6],
    ],
    (q, k, v) => ops.temporalAttention(q!, k!, v!, {heads: 2}),
  ],
  'temporalAttention, window 1': [
    [
      [1, 5, 3, 8],
      [1, 5, 3, 8],
      [1, 5, 3, 8],
    ],
    (q, k, v) => ops.temporalAttention(q!, k!, v!, {heads: 2, window: 1}),
  ],
  geglu: [[[3, 5, 6]], x => ops.geglu(x!)],
  silu: [[[3, 7]], x => ops.silu(x!)],
  gelu: [[[3, 7]], x => ops.gelu(x!)],
  quickGelu: [[[3, 7]], x => ops.quickGelu(x!)],
  linear: [[[2, 3, 5], [5, 7], [7]], (x, k, b) => ops.linear(x!, k!, b!)],
  'conv2d 3x3 same': [[[2, 6, 5, 3], [3, 3, 3, 4], [4]], (x, k, b) => ops.conv2d(x!, k!, b!)],
  'conv2d 1x1': [[[2, 6, 5, 3], [1, 1, 3, 4], [4]], (x, k, b) => ops.conv2d(x!, k!, b!)],
  'conv2d 3x3 valid': [[[2, 6, 5, 3], [3, 3, 3, 4], [4]], (x, k, b) => ops.conv2d(x!, k!, b!, {pad: 'valid'})],
  'conv2d 3x3 stride 2 pad 1': [
    [[2, 6, 5, 3], [3, 3, 3, 4], [4]],
    (x, k, b) => ops.conv2d(x!, k!, b!, {stride: 2, pad: 1}),
  ],
  'conv2d 3x3 stride 2 pad bottom right': [
    [
      [1, 8, 6, 5],
      [3, 3, 5, 3],
    ],
    (x, k) =>
      ops.conv2d(x!, k!, undefined, {
        stride: 2,
        pad: [
          [0, 1],
          [0, 1],
        ],
      }),
  ],
  'conv2d 5x3 pad 2': [
    [
      [1, 7, 6, 5],
      [5, 3, 5, 3],
    ],
    (x, k) => ops.conv2d(x!, k!, undefined, {pad: 2}),
  ],
  'temporalConv (3,1,1)': [[[2, 4, 3, 5, 3], [3, 1, 1, 3, 4], [4]], (x, k, b) => ops.temporalConv(x!, k!, b!)],
  'temporalConv (3,3,3)': [[[2, 4, 3, 5, 3], [3, 3, 3, 3, 4], [4]], (x, k, b) => ops.temporalConv(x!, k!, b!)],
  upsampleNearest2x: [[[2, 3, 4, 5]], x => ops.upsampleNearest2x(x!)],
  'alphaMix, one factor': [[[2, 4, 3, 5], [2, 4, 3, 5], []], (s, t, m) => ops.alphaMix(s!, t!, m!)],
  'alphaMix, a factor per frame, switched': [
    [[2, 4, 3, 3, 8], [2, 4, 3, 3, 8], [4]],
    (s, t, m) => ops.alphaMix(s!, t!, m!, {switched: true}),
  ],
  addPerSample: [
    [
      [3, 4, 2, 5],
      [3, 5],
    ],
    (x, e) => ops.addPerSample(x!, e!),
  ],
  'addPerSample with bias': [[[3, 4, 8], [3, 8], [8]], (x, e, b) => ops.addPerSample(x!, e!, b!)],
  'sum over an axis': [[[2, 3, 4]], x => tf.sum(x!, 1)],
  'mean over two axes': [[[2, 3, 4]], x => tf.mean(x!, [0, 2])],
};

describe.each<EngineName>(['cpu', 'wasm'])('gradients against finite differences on %s', name => {
  beforeAll(async () => {
    await openEngine(name);
  });
  test.each(Object.entries(cases))('%s', (_, [shapes, f]) => {
    tf.tidy(() => {
      expect(
        gradientError(
          f,
          shapes.map(shape => randomTensor(shape)),
        ),
      ).toBeLessThan(4e-3);
    });
  });
});

describe('wasm against cpu', () => {
  test.each(Object.entries(cases))('%s: value and every gradient', async (_, [shapes, f]) => {
    const hosts = shapes.map(shape => ({shape, data: tf.tidy(() => randomTensor(shape).dataSync().slice())}));
    const weightsSeed = 3;
    const run = async (name: EngineName) => {
      await openEngine(name);
      const variables = hosts.map(({shape, data}) => tf.variable(tf.tensor(data, shape, 'float32')));
      const {value, grads} = valueAndGrads(() => {
        const y = f(...variables);
        const weights = tf.cos(tf.mul(tf.range(0, y.size), weightsSeed));
        return tf.sum(tf.mul(y, tf.reshape(weights, y.shape)));
      }, variables);
      const y = tf.tidy(() => f(...variables));
      const outputs = [y, value, ...grads].map(x => ({shape: x.shape, data: x.dataSync().slice()}));
      tf.dispose([y, value, grads, variables]);
      return outputs;
    };
    const [wasm, cpu] = [await run('wasm'), await run('cpu')];
    expect(wasm.length).toBe(cpu.length);
    for (const [i, {shape, data}] of wasm.entries()) {
      const found = tf.tensor(data, shape, 'float32');
      const wanted = tf.tensor(cpu[i]!.data, cpu[i]!.shape, 'float32');
      expect(difference(found, wanted)).toBeLessThan(2e-5);
      tf.dispose([found, wanted]);
    }
  });
});
