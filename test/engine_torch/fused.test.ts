// The torch engine's fused kernels against the plain versions of src/ops on the cpu backend: values and every gradient.
import {beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {openEngine} from '../../src/engine/index.ts';
import {hasKernel} from '../../src/ops/fused.ts';
import * as ops from '../../src/ops/index.ts';
import {type FusedKernelName, fusedKernels} from '../../src/ops/kernel_contracts.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

type F = (...inputs: tf.Tensor[]) => tf.Tensor;
type Case = [shapes: number[][], f: F];

const epsilon = 1e-5;
const q4 = [2, 4, 3, 8];
const cases: Record<string, Case> = {
  'groupNorm [N,H,W,C]': [[[2, 3, 5, 6], [6], [6]], (x, g, b) => ops.groupNorm(x!, g!, b!, {groups: 2, epsilon})],
  'groupNorm [B,T,H,W,C] with silu': [
    [[2, 3, 4, 5, 16], [16], [16]],
    (x, g, b) => ops.groupNorm(x!, g!, b!, {groups: 4, epsilon, silu: true}),
  ],
  'groupNorm over many blocks of rows': [
    [[1, 33, 40, 24], [24], [24]],
    (x, g, b) => ops.groupNorm(x!, g!, b!, {groups: 8, epsilon, silu: true}),
  ],
  'groupNorm of several small examples, each in one go': [
    [[5, 8, 11, 12], [12], [12], [5, 12], [5, 12]],
    (x, g, b, scale, shift) =>
      ops.groupNorm(x!, g!, b!, {groups: 4, epsilon, silu: true, scaleShift: {scale: scale!, shift: shift!}}),
  ],
  'groupNorm of values far from zero': [
    [[1, 9, 9, 8], [8], [8]],
    (x, g, b) => ops.groupNorm(tf.add(tf.mul(x!, 0.1), 50), g!, b!, {groups: 2, epsilon}),
  ],
  'groupNorm with scale, shift and silu': [
    [[2, 3, 5, 6], [6], [6], [2, 6], [2, 6]],
    (x, g, b, scale, shift) =>
      ops.groupNorm(x!, g!, b!, {groups: 3, epsilon, silu: true, scaleShift: {scale: scale!, shift: shift!}}),
  ],
  'groupNorm with silu of large numbers, beyond where exp is infinite': [
    [[2, 3, 5, 16], [16], [16]],
    (x, g, b) => ops.groupNorm(x!, tf.mul(g!, 500), b!, {groups: 4, epsilon, silu: true}),
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
  'attention, self, more tokens than its short loops take': [
    [
      [2, 40, 8],
      [2, 40, 8],
      [2, 40, 8],
    ],
    (q, k, v) => ops.attention(q!, k!, v!, {heads: 2}),
  ],
  'attention, cross': [
    [
      [2, 64, 32],
      [2, 7, 32],
      [2, 7, 32],
    ],
    (q, k, v) => ops.attention(q!, k!, v!, {heads: 4}),
  ],
  'attention, causal': [
    [
      [2, 4, 6],
      [2, 4, 6],
      [2, 4, 6],
    ],
    (q, k, v) => ops.attention(q!, k!, v!, {heads: 1, causal: true}),
  ],
  'attention, masked': [
    [
      [1, 3, 4],
      [1, 5, 4],
      [1, 5, 4],
    ],
    (q, k, v) => ops.attention(q!, k!, v!, {heads: 2, mask: tf.tensor([0, -1e9, 0, 0, -1e9], [1, 1, 1, 5])}),
  ],
  temporalAttention: [[q4, q4, q4], (q, k, v) => ops.temporalAttention(q!, k!, v!, {heads: 2})],
  'temporalAttention, window': [
    [
      [1, 7, 2, 6],
      [1, 7, 2, 6],
      [1, 7, 2, 6],
    ],
    (q, k, v) => ops.temporalAttention(q!, k!, v!, {heads: 2, window: 2}),
  ],
  geglu: [[[3, 5, 12]], x => ops.geglu(x!)],
  'geglu of large numbers': [[[2, 3, 16]], x => ops.geglu(tf.mul(x!, 1000))],
  silu: [[[4, 7]], x => ops.silu(x!)],
  gelu: [[[4, 7]], x => ops.gelu(x!)],
  quickGelu: [[[4, 7]], x => ops.quickGelu(x!)],
  upsampleNearest2x: [[[2, 3, 5, 6]], x => ops.upsampleNearest2x(x!)],
  'alphaMix, one factor': [[[2, 3, 4, 5, 6], [2, 3, 4, 5, 6], []], (s, t, a) => ops.alphaMix(s!, t!, a as tf.Scalar)],
  'alphaMix per frame, switched': [
    [[2, 3, 4, 5, 6], [2, 3, 4, 5, 6], [3]],
    (s, t, a) => ops.alphaMix(s!, t!, a as tf.Tensor1D, {switched: true}),
  ],
  'alphaMix per frame, more values than a block': [
    [[2, 3, 30, 31, 7], [2, 3, 30, 31, 7], [3]],
    (s, t, a) => ops.alphaMix(s!, t!, a as tf.Tensor1D),
  ],
  addPerSample: [
    [
      [2, 3, 4, 6],
      [2, 6],
    ],
    (x, e) => ops.addPerSample(x!, e!),
  ],
  linear: [
    [
      [2, 3, 4, 7],
      [7, 5],
    ],
    (x, k) => ops.linear(x!, k!),
  ],
  'linear with bias': [[[2, 3, 4], [4, 5], [5]], (x, k, b) => ops.linear(x!, k!, b!)],
  'linear with bias, one row': [[[1, 4], [4, 5], [5]], (x, k, b) => ops.linear(x!, k!, b!)],
  'conv2d with stride and bias': [
    [[2, 7, 8, 3], [3, 3, 3, 5], [5]],
    (x, k, b) => ops.conv2d(x!, k!, b!, {stride: 2, pad: 1}),
  ],
  'temporalConv (3,1,1)': [[[2, 4, 3, 3, 4], [3, 1, 1, 4, 5], [5]], (x, k, b) => ops.temporalConv(x!, k!, b!)],
  'temporalConv (3,3,3)': [[[1, 4, 5, 5, 4], [3, 3, 3, 4, 5], [5]], (x, k, b) => ops.temporalConv(x!, k!, b!)],
};

interface Outcome {
  value: Float32Array;
  grads: Float32Array[];
}

/** f's value and the gradients of its sum against fixed weights, on the current backend. */
function outcome([shapes, f]: Case): Outcome {
  return tf.tidy(() => {
    const draw = (shape: number[], step: number) =>
      tf.tensor(normals({seed: 7, stream: 1000, step}, tf.util.sizeFromShape(shape)), shape, 'float32');
    const inputs = shapes.map(draw);
    const value = f(...inputs);
    const weights = draw(value.shape, 99);
    const loss = (...xs: tf.Tensor[]) => tf.sum(tf.mul(f(...xs), weights)) as tf.Tensor;
    const grads = tf.grads(loss)(inputs);
    return {
      value: value.dataSync<'float32'>().slice(),
      grads: grads.map(grad => grad.dataSync<'float32'>().slice()),
    };
  });
}

function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [worst, scale] = [0, 1];
  a.forEach((x, i) => {
    worst = Math.max(worst, Number.isNaN(x) ? Number.POSITIVE_INFINITY : Math.abs(x - b[i]!));
    scale = Math.max(scale, Math.abs(b[i]!));
  });
  return worst / scale;
}

describe.skipIf(!isBuilt())('torch engine (needs the addon: npm run build:torch)', () => {
  const expected = new Map<string, Outcome>();
  beforeAll(async () => {
    await openEngine('cpu');
    for (const [name, testCase] of Object.entries(cases)) expected.set(name, outcome(testCase));
    await openEngine('torch');
  });

  test('every fused kernel is registered', () => {
    const missing = Object.keys(fusedKernels).filter(name => !hasKernel(name as FusedKernelName));
    expect(missing).toEqual([]);
  });

  test.each(Object.keys(cases))('%s: value and gradients as the plain version', name => {
    const before = tf.memory().numTensors;
    const {value, grads} = outcome(cases[name]!);
    const reference = expected.get(name)!;
    expect(difference(value, reference.value)).toBeLessThan(2e-5);
    expect(grads.length).toBe(reference.grads.length);
    grads.forEach((grad, i) => {
      expect(difference(grad, reference.grads[i]!), `gradient ${i}`).toBeLessThan(1e-4);
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  test('alphaMix is exactly the spatial branch where its share is 1, be the other infinite', () => {
    tf.tidy(() => {
      const [spatial, temporal] = [tf.ones([1, 2, 3, 3, 4]), tf.fill([1, 2, 3, 3, 4], Number.POSITIVE_INFINITY)];
      expect(Array.from(ops.alphaMix(spatial, temporal, tf.scalar(100)).dataSync())).toEqual(Array(72).fill(1));
    });
  });

  test('philoxNormal gives the bytes of src/random, from any offset', () => {
    for (const [count, offset] of [
      [1, 0],
      [1000, 0],
      [4097, 3],
      [5, 2 ** 33 + 1],
    ] as const) {
      const at = {seed: 2 ** 40 + 5, stream: 2 ** 35 + 9, step: 4_000_000_001, offset};
      const values = ops.philoxNormal([count], at);
      expect(values.dataSync()).toEqual(normals(at, count));
      values.dispose();
    }
  });

  test('framesToPixels unpacks bytes that do not fill the last word', () => {
    const frames = Uint8Array.from({length: 2 * 3 * 3}, (_, i) => (i * 37) % 256);
    const pixels = ops.framesToPixels(frames, [1, 2, 3, 3]);
    expect(
      difference(
        pixels.dataSync<'float32'>(),
        Float32Array.from(frames, x => x / 127.5 - 1),
      ),
    ).toBeLessThan(1e-6);
    pixels.dispose();
  });

  test('AdamW: three steps equal the plain version, in place; a NaN writes nothing', async () => {
    const options = {learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, emaDecay: 0.9};
    const sizes = [[3, 5], [7], [40, 500]];
    const run = (bad: boolean) => {
      const slots = sizes.map((shape, i) => {
        const draw = (step: number) =>
          tf.tensor(normals({seed: 3, stream: 2000 + i, step}, tf.util.sizeFromShape(shape)), shape, 'float32');
        const zero = () => tf.variable(tf.zeros(shape));
        const variable = tf.variable(draw(0));
        return {variable, gradient: draw(1), m: zero(), v: zero(), ema: tf.variable(draw(2)), decay: i !== 1};
      });
      const norms = [1, 2, 3].map(
        step => ops.adamWStep(slots, {...options, step, clipNorm: 0.5, gradScale: 0.25}).dataSync()[0]!,
      );
      const before = slots.map(slot => slot.variable.dataSync().slice());
      if (bad) {
        const gradients = slots.map(({gradient}) => tf.mul(gradient, Number.NaN));
        const spoiled = slots.map((slot, i) => ({...slot, gradient: gradients[i]!}));
        expect(ops.adamWStep(spoiled, {...options, step: 4}).dataSync()[0]).toBeNaN();
        slots.forEach((slot, i) => {
          expect(slot.variable.dataSync()).toEqual(before[i]);
        });
      }
      return {
        norms,
        values: slots.flatMap(({variable, m, v, ema}) => [variable, m, v, ema].map(x => x.dataSync().slice())),
      };
    };
    const fused = tf.tidy(() => run(true));
    await tf.setBackend('cpu');
    const plain = tf.tidy(() => run(false));
    await tf.setBackend('torch');
    fused.norms.forEach((norm, i) => {
      expect(norm).toBeCloseTo(plain.norms[i]!, 4);
    });
    fused.values.forEach((values, i) => {
      expect(difference(values as Float32Array, plain.values[i] as Float32Array)).toBeLessThan(1e-5);
    });
  });

  test('AdamW gives variables that share their values their own first', () => {
    tf.tidy(() => {
      const one = tf.ones([4]);
      const zero = tf.zeros([4]);
      const slot = {variable: tf.variable(one), gradient: one, m: tf.variable(zero), v: tf.variable(zero)};
      const options = {learningRate: 0.5, beta1: 0.5, beta2: 0.75, epsilon: 0, weightDecay: 0, step: 1};
      ops.adamWStep([slot], options);
      expect([one, zero, slot.variable, slot.m, slot.v].map(x => x.dataSync()[3])).toEqual([1, 0, 0.5, 0.5, 0.25]);
    });
  });
});
