// The GPU's hand-written kernels, run on the CPU thread by thread, against the host's loops: values and gradients, in float32
// and in bf16, over the shapes where their index arithmetic differs. A race, a missed barrier, an unaligned access or a launch that no
// GPU takes is an error of the emulator. What this leaves to a GPU is NVRTC and the launch.
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {native} from '../../packages/tfjs-backend-torch/src/binding.ts';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {engineStats} from '../../packages/tfjs-backend-torch/src/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import {columnSum, sampleSum} from '../../src/ops/column_sum.ts';
import * as ops from '../../src/ops/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

type F = (...inputs: tf.Tensor[]) => tf.Tensor;
const epsilon = 1e-5;
const norm =
  (groups: number, silu = true): F =>
  (x, gamma, beta, scale, shift) =>
    ops.groupNorm(x!, gamma!, beta!, {
      groups,
      epsilon,
      silu,
      ...(scale && shift ? {scaleShift: {scale, shift}} : {}),
    });
const withWeights = (shape: number[], modulated = false) => {
  const [n, c] = [shape[0]!, shape.at(-1)!];
  return [
    shape,
    [c],
    [c],
    ...(modulated
      ? [
          [n, c],
          [n, c],
        ]
      : []),
  ];
};
const overTime =
  (heads: number, window?: number): F =>
  (q, k, v) =>
    ops.temporalAttention(q!, k!, v!, window === undefined ? {heads} : {heads, window});
const three = (shape: number[]) => [shape, shape, shape];
const layer: F = (x, gamma, beta) => ops.layerNorm(x!, gamma!, beta!, {epsilon});
const layerWeights = (shape: number[]) => [shape, [shape.at(-1)!], [shape.at(-1)!]];
const mix =
  (switched = false): F =>
  (spatial, temporal, factor) =>
    ops.alphaMix(spatial!, temporal!, factor!, {switched});

const cases: Record<string, [shapes: number[][], f: F]> = {
  'GroupNorm, 4 channels a thread': [withWeights([2, 5, 7, 32]), norm(8)],
  'GroupNorm, 2 channels a thread, without silu': [withWeights([3, 4, 5, 6]), norm(3, false)],
  'GroupNorm, 1 channel a thread, groups across threads': [withWeights([1, 3, 3, 15]), norm(5)],
  'GroupNorm over time, many chunks of an uneven number of rows': [withWeights([1, 3, 31, 33, 8]), norm(2)],
  'GroupNorm, a thread with several groups': [withWeights([2, 3, 3, 64]), norm(32)],
  'GroupNorm with scale and shift': [withWeights([2, 5, 5, 24], true), norm(4)],
  'GroupNorm of one row': [withWeights([2, 1, 1, 16]), norm(4)],
  'GroupNorm of values far from zero': [
    withWeights([1, 9, 9, 8]),
    (x, g, b) => norm(2)(tf.add(tf.mul(x!, 0.1), 50), g!, b!),
  ],
  'attention over 8 frames, heads of 16': [three([1, 8, 5, 32]), overTime(2)],
  'attention over 3 frames, heads of 6: threads without channels': [three([2, 3, 7, 18]), overTime(3)],
  'attention over 2 frames, heads of 5': [three([1, 2, 3, 5]), overTime(1)],
  'attention over 8 frames within a window': [three([1, 8, 3, 8]), overTime(1, 2)],
  'attention over 8 frames, heads of 64': [three([1, 8, 2, 128]), overTime(2)],
  'LayerNorm, rows shorter and longer than 32 threads take at once': [layerWeights([3, 5, 24]), layer],
  'LayerNorm of many channels, two at a time': [layerWeights([7, 334]), layer],
  'LayerNorm of many rows': [layerWeights([2, 300, 16]), layer],
  'LayerNorm of values far from zero': [layerWeights([9, 40]), (x, g, b) => layer(tf.add(tf.mul(x!, 0.1), 50), g!, b!)],
  'GEGLU, 4 channels a thread': [[[3, 5, 24]], x => ops.geglu(x!)],
  'GEGLU, 1 channel a thread': [[[40, 14]], x => ops.geglu(x!)],
  'alpha mix, one factor': [[[2, 3, 4, 4, 8], [2, 3, 4, 4, 8], []], mix()],
  'alpha mix, a factor for each frame, switched': [[[2, 3, 5, 7], [2, 3, 5, 7], [3]], mix(true)],
  'alpha mix of several blocks': [[[2, 2, 9000], [2, 2, 9000], [2]], mix()],
};

function inputsOf(shapes: number[][]): tf.Tensor[] {
  return shapes.map((shape, i) => {
    const values = normals({seed: 3, stream: 41, step: i}, tf.util.sizeFromShape(shape));
    return tf.tensor(values, shape, 'float32');
  });
}
function valueAndGradients(shapes: number[][], f: F): Float32Array[] {
  return tf.tidy(() => {
    const inputs = inputsOf(shapes);
    const [weights] = inputsOf([shapes[0]!].map(shape => [...shape, 2]));
    const loss = (...xs: tf.Tensor[]) => {
      const y = f(...xs);
      return tf.sum(tf.mul(y, tf.reshape(tf.slice(tf.reshape(weights!, [-1]), [0], [y.size]), y.shape)));
    };
    return [f(...inputs), ...tf.grads(loss)(inputs)].map(x => Float32Array.from(x.dataSync()));
  });
}
function emulated<T>(run: () => T, seed = 0): T {
  native().emulateKernels(true, seed);
  try {
    return run();
  } finally {
    native().emulateKernels(false);
  }
}
/** As above, and the same bytes where blocks and threads go in another order: none reads what another writes. */
function emulatedInAnyOrder(run: () => Float32Array[]): Float32Array[] {
  const [values, again] = [emulated(run), emulated(run, 1)];
  for (const [i, x] of values.entries())
    expect(Buffer.from(x.buffer).equals(Buffer.from(again[i]!.buffer)), `result ${i}`).toBe(true);
  return values;
}
/** Over the larger of 1 and the largest value. */
function difference(a: Float32Array, b: Float32Array): number {
  const scale = b.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return (
    a.reduce((most, x, i) => (Number.isNaN(x) ? Number.POSITIVE_INFINITY : Math.max(most, Math.abs(x - b[i]!))), 0) /
    scale
  );
}

describe.skipIf(!isBuilt())("the GPU's kernels on the CPU", () => {
  beforeAll(async () => {
    await openEngine('torch');
  });

  for (const [name, [shapes, f]] of Object.entries(cases)) {
    test(name, () => {
      const expected = valueAndGradients(shapes, f);
      const actual = emulatedInAnyOrder(() => valueAndGradients(shapes, f));
      for (const [i, values] of actual.entries())
        expect(difference(values, expected[i]!), `result ${i}`).toBeLessThan(5e-5);
    });
  }

  describe('in bf16', () => {
    beforeAll(async () => {
      await openEngine('torch', {precision: 'bf16'});
    });
    afterAll(async () => {
      await openEngine('torch');
    });
    // A product gives bf16, which the kernels then read and write.
    const low: Record<string, [number[][], F]> = {
      'GroupNorm, 8 channels a thread': [
        [[2, 4, 5, 32], [32], [32], [32, 32]],
        (x, g, b, w) => norm(4)(tf.reshape(tf.matMul(tf.reshape(x!, [-1, 32]), w!), [2, 4, 5, 32]), g!, b!),
      ],
      'attention over 8 frames': [
        [
          [1, 8, 4, 32],
          [32, 32],
        ],
        (x, w) => {
          const q = tf.reshape(tf.matMul(tf.reshape(x!, [-1, 32]), w!), [1, 8, 4, 32]);
          return overTime(2)(q, q, q);
        },
      ],
      'GroupNorm of weights, scale and shift that products gave': [
        [
          [2, 4, 5, 16],
          [16, 16],
        ],
        (x, w) => {
          const rows = tf.matMul(tf.reshape(x!, [-1, 16]), w!);
          const some = (from: number, shape: number[]) =>
            tf.reshape(tf.slice(rows, [from, 0], [shape.length, 16]), shape);
          const [gamma, beta] = [some(0, [16]), some(1, [16])];
          return norm(4)(tf.reshape(rows, [2, 4, 5, 16]), gamma, beta, some(2, [2, 16]), some(4, [2, 16]));
        },
      ],
      'LayerNorm of weights that a product gave': [
        [
          [12, 16],
          [16, 16],
        ],
        (x, w) => {
          const rows = tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D);
          const [gamma, beta] = [0, 1].map(i => tf.reshape(tf.slice(rows, [i, 0], [1, 16]), [16]));
          return layer(rows, gamma!, beta!);
        },
      ],
      'alpha mix by a factor that a product gave': [
        [
          [24, 32],
          [32, 32],
        ],
        (x, w) => {
          const rows = tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D);
          const y = tf.reshape(rows, [2, 3, 4, 32]);
          return mix()(y, tf.mul(y, y), tf.reshape(tf.slice(rows, [0, 0], [1, 3]), [3]));
        },
      ],
      'LayerNorm, 8 channels a thread': [
        [[6, 4, 32], [32], [32], [32, 32]],
        (x, g, b, w) => layer(tf.reshape(tf.matMul(tf.reshape(x!, [-1, 32]), w!), [6, 4, 32]), g!, b!),
      ],
      'GEGLU, 8 channels a thread': [
        [
          [24, 32],
          [32, 32],
        ],
        (x, w) => ops.geglu(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)),
      ],
      'alpha mix': [
        [[24, 32], [32, 32], [1]],
        (x, w, factor) => {
          const y = tf.reshape(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), [2, 3, 4, 32]);
          return mix()(y, tf.mul(y, y), factor!);
        },
      ],
    };
    for (const [name, [shapes, f]] of Object.entries(low)) {
      test(name, () => {
        const expected = valueAndGradients(shapes, f);
        const actual = emulatedInAnyOrder(() => valueAndGradients(shapes, f));
        for (const [i, values] of actual.entries())
          expect(difference(values, expected[i]!), `result ${i}`).toBeLessThan(2e-2);
      });
    }
    test('AdamW reads gradients in bf16', () => {
      const step = () =>
        tf.tidy(() => {
          const [variable, x, w] = inputsOf([
            [20, 8],
            [20, 8],
            [8, 8],
          ]) as tf.Tensor2D[];
          const slot = {
            variable: tf.variable(variable!),
            gradient: tf.matMul(x!, w!),
            m: tf.variable(tf.zeros([20, 8])),
            v: tf.variable(tf.zeros([20, 8])),
          };
          const options = {learningRate: 1e-2, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, step: 1};
          const norm = ops.adamWStep([slot], options);
          const result = [norm, slot.variable, slot.m, slot.v].map(values => Float32Array.from(values.dataSync()));
          tf.dispose([slot.variable, slot.m, slot.v]);
          return result;
        });
      const expected = step();
      for (const [i, values] of emulatedInAnyOrder(step).entries())
        expect(difference(values, expected[i]!), `result ${i}`).toBeLessThan(1e-6);
    });
  });

  // Whole numbers, whose sums are exact in any order.
  test.for(['fp32', 'bf16'] as const)('%s: sums over rows, of few rows and of many chunks', async precision => {
    await openEngine('torch', {precision});
    // One row; one channel a thread and few rows; uneven chunks; two, four and eight channels; several groups of lanes, the last not full.
    const shapes = [
      [1, 1, 8],
      [3, 2, 5],
      [1, 40_001, 3],
      [2, 1031, 6],
      [1, 3000, 20],
      [32, 70, 32],
      [2, 77, 1032],
      [1, 9, 1064],
    ] as const;
    for (const [n, rows, channels] of shapes) {
      const values = Float32Array.from({length: n * rows * channels}, (_, i) => ((i * 7919) % 31) - 11);
      const sums = (count: number) => {
        const result = new Float32Array(count * channels);
        const each = (n / count) * rows * channels;
        for (let i = 0; i < values.length; i++) result[Math.floor(i / each) * channels + (i % channels)]! += values[i]!;
        return result;
      };
      const [all, each] = emulatedInAnyOrder(() =>
        tf.tidy(() => {
          const given = tf.tensor3d(values, [n, rows, channels]);
          // A product gives bf16 where that is the precision.
          const x = tf.reshape(tf.matMul(tf.reshape(given, [-1, channels]), tf.eye(channels)), given.shape);
          return [columnSum(x), sampleSum(x)].map(y => Float32Array.from(y.dataSync()));
        }),
      );
      expect(all, `[${n}, ${rows}, ${channels}]`).toEqual(sums(1));
      expect(each, `[${n}, ${rows}, ${channels}] for each`).toEqual(sums(n));
    }
    await openEngine('torch');
  });

  test('AdamW writes the bf16 copies of its variables as they are rounded alone, of many variables and of some', async () => {
    await openEngine('torch', {precision: 'bf16'});
    // Halfway between neighbours, once to each side; the largest; the smallest; not numbers of bf16.
    const edges = [1 + 2 ** -8, 1 + 3 * 2 ** -8, -1 - 2 ** -8, 3.4e38, 2 ** -133, 2 ** -134, 0, -0, 1 / 3];
    const [one, sizes] = [tf.ones([1, 1]) as tf.Tensor2D, [...Array.from({length: 70}, (_, i) => i + 1), 20_000]];
    const copyOf = (variable: tf.Tensor) => [...tf.matMul(one, variable as tf.Tensor2D).dataSync()];
    const step = (learningRate: number, copies: (i: number) => boolean) =>
      tf.tidy(() => {
        const slots = sizes.map((size, i) => {
          const values = normals({seed: 4, stream: 60, step: i}, size).map((x, k) => edges[k] ?? x);
          const [m, v] = [tf.variable(tf.zeros([1, size])), tf.variable(tf.zeros([1, size]))];
          const variable = tf.tidy(() => tf.variable(tf.tensor2d(values, [1, size])));
          return {variable, gradient: tf.ones([1, size]), m, v};
        });
        // The second use leaves a copy.
        for (const [i, {variable}] of slots.entries())
          if (copies(i)) for (let use = 0; use < 2; use++) copyOf(variable);
        const options = {learningRate, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, step: 1};
        const before = engineStats().weightCopies;
        ops.adamWStep(slots, options);
        const written = slots.map(({variable}) => copyOf(variable));
        const made = engineStats().weightCopies - before;
        const alone = slots.map(({variable}) => copyOf(tf.mul(variable, 1)));
        for (const {variable, m, v} of slots) tf.dispose([variable, m, v]);
        return {written, alone, made};
      });
    for (const run of [step, (...given: Parameters<typeof step>) => emulated(() => step(...given))]) {
      for (const learningRate of [0, 1e-2]) {
        const all = run(learningRate, () => true);
        expect(all.written).toEqual(all.alone);
        expect(all.made).toBe(0);
        const some = run(learningRate, i => i % 2 === 0);
        expect(some.written).toEqual(some.alone);
        expect(some.made).toBe(35);
      }
    }
    one.dispose();
    await openEngine('torch');
  });

  test('Philox: the same bytes at every offset, the step read from the tensor', () => {
    for (const [count, offset] of [
      [1, 0],
      [1023, 0],
      [4099, 3],
      [7, 4_000_000_001],
    ] as const) {
      const draw = () =>
        tf.tidy(() =>
          Array.from(
            ops.philoxNormal([count], {seed: 2 ** 40 + 7, stream: 9, step: tf.scalar(5, 'int32'), offset}).dataSync(),
          ),
        );
      for (const seed of [0, 1]) expect(emulated(draw, seed)).toEqual(draw());
    }
  });

  test('AdamW: many parameters of many sizes, clipping, averages, decay; nothing written where a gradient is not finite', () => {
    const sizes = [...Array.from({length: 70}, (_, i) => i + 1), 20_000, 8192, 1];
    const step = (bad: boolean) =>
      tf.tidy(() => {
        const at = (i: number, k: number) => tf.tensor1d(normals({seed: 4, stream: 50 + k, step: i}, sizes[i]!));
        const slots = sizes.map((_, i) => ({
          variable: tf.variable(at(i, 0)),
          gradient: bad && i === 71 ? tf.div(at(i, 1), 0) : at(i, 1),
          m: tf.variable(at(i, 2)),
          v: tf.variable(tf.square(at(i, 3))),
          ema: tf.variable(at(i, 4)),
          decay: i % 3 !== 0,
        }));
        const options = {learningRate: 1e-2, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, step: 3};
        const norm = ops.adamWStep(slots, {...options, emaDecay: 0.9, clipNorm: 5, gradScale: 0.5});
        const result = slots.flatMap(({variable, m, v, ema}) =>
          [variable, m, v, ema].map(x => Float32Array.from(x.dataSync())),
        );
        for (const slot of slots) tf.dispose([slot.variable, slot.m, slot.v, slot.ema]);
        return [Float32Array.from(norm.dataSync()), ...result];
      });
    const [expected, actual] = [step(false), emulatedInAnyOrder(() => step(false))];
    for (const [i, values] of actual.entries())
      expect(difference(values, expected[i]!), `result ${i}`).toBeLessThan(1e-6);
    const [, ...kept] = emulated(() => step(true));
    const [, ...untouched] = step(true);
    expect(kept).toEqual(untouched);
  });
});
