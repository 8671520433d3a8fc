// Accumulated gradients are those of the large batch; the EMA follows its formula; swapping it in and out changes no byte.
import {afterAll, beforeAll, expect, test} from 'vitest';
import {type Engine, openEngine} from '../../src/engine/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {meanGradients} from '../../trainers/optimizer/accumulate.ts';
import {
  disposeSlots,
  makeSlots,
  type OptimizerConfig,
  type Slot,
  update,
  updateOptions,
  withEma,
} from '../../trainers/optimizer/optimizer.ts';

const config: OptimizerConfig = {
  learningRate: 0.1,
  betas: [0.9, 0.999],
  epsilon: 1e-8,
  weightDecay: 0.01,
  warmupSteps: 0,
  schedule: 'constant',
  emaDecay: 0.9,
};
const values = (step: number, count: number) => normals({seed: 3, stream: 'synthetic', step}, count);
let slots: Slot[] = [];
let weight: tf.Variable;
let engine: Engine;

beforeAll(async () => {
  engine = await openEngine('wasm');
});
afterAll(() => disposeSlots(slots));

function fresh(): void {
  disposeSlots(slots);
  weight = tf.variable(tf.tensor2d(values(0, 12), [3, 4]));
  const spec = {path: 'w', shape: [3, 4], init: {kind: 'zeros'}, layout: 'linear', part: 'spatial'} as const;
  slots = makeSlots([{spec, variable: weight}]);
}

test('4 micro-batches of 2 give the loss and the gradient of a batch of 8', async () => {
  fresh();
  const x = tf.tensor2d(values(1, 24), [8, 3]);
  const loss = (rows: tf.Tensor2D) => tf.mean(tf.square(tf.sin(tf.matMul(rows, weight as tf.Tensor2D)))) as tf.Scalar;
  const rows = [0, 2, 4, 6].map(from => tf.slice(x, [from, 0], [2, 3]));
  const large = await meanGradients(engine, [weight], [x], loss);
  const before = tf.memory().numTensors;
  const small = await meanGradients(engine, [weight], rows, loss);
  expect(tf.memory().numTensors).toBe(before + 1);
  const [one, other] = [large.gradients[0]!.dataSync<'float32'>(), small.gradients[0]!.dataSync<'float32'>()];
  const norm = (v: ArrayLike<number>) => Math.sqrt(Array.from(v).reduce((sum, value) => sum + value * value, 0));
  expect(norm(other.map((value, i) => value - one[i]!)) / norm(one)).toBeLessThan(1e-5);
  expect(small.loss).toBeCloseTo(large.loss, 6);
});

test('the average is d x average + (1 - d) x weight after each update, and starts apart from the weight', () => {
  fresh();
  let expected = Array.from(weight.dataSync());
  for (let step = 0; step < 5; step++) {
    const before = slots[0]!.ema.dataSync().slice();
    update(slots, [tf.tensor2d(values(step + 2, 12), [3, 4])], updateOptions(config, {step, steps: 5})).dispose();
    const decay = Math.min(0.9, (1 + step) / (10 + step));
    const now = weight.dataSync();
    expected = expected.map((_, i) => decay * before[i]! + (1 - decay) * now[i]!);
    const average = slots[0]!.ema.dataSync();
    for (let i = 0; i < 12; i++) expect(average[i]).toBeCloseTo(expected[i]!, 5);
    expect(average).not.toEqual(now);
  }
});

test('withEma shows the average and gives back the trained bytes', async () => {
  const [trained, average] = [weight.dataSync().slice(), slots[0]!.ema.dataSync().slice()];
  const seen = await withEma(slots, async () => weight.dataSync().slice());
  expect(seen).toEqual(average);
  expect(weight.dataSync()).toEqual(trained);
  update(slots, [tf.ones([3, 4])], updateOptions(config, {step: 9, steps: 10})).dispose();
  expect(weight.dataSync()).not.toEqual(trained);
});

test('a gradient that is not finite changes nothing', () => {
  const before = [weight, slots[0]!.m, slots[0]!.v, slots[0]!.ema].map(variable => variable.dataSync().slice());
  const bad = tf.tensor2d([...values(1, 11), Number.NaN], [3, 4]);
  const norm = update(slots, [bad], updateOptions(config, {step: 10, steps: 11}));
  expect(Number.isFinite(norm.dataSync()[0])).toBe(false);
  for (const [i, variable] of [weight, slots[0]!.m, slots[0]!.v, slots[0]!.ema].entries()) {
    expect(variable.dataSync()).toEqual(before[i]);
  }
});

test('weights with a rate of their own: one clipping by the norm of all, as separate parameter groups have it', () => {
  const shapes = [[3, 4], [5], [2, 2]] as const;
  const rates = [1, 0.25, 0.25];
  const options = {...updateOptions(config, {step: 2, steps: 9}), clipNorm: 0.7};
  const made = () =>
    shapes.map((shape, i) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const spec = {path: `w${i}`, shape, init: {kind: 'zeros'}, layout: 'linear', part: 'spatial'} as const;
      const variable = tf.variable(tf.tensor(values(10 + i, size), [...shape]));
      return makeSlots([{spec, variable, rate: rates[i]!}])[0]!;
    });
  const gradients = shapes.map((shape, i) =>
    tf.tensor(
      values(
        20 + i,
        shape.reduce((a, b) => a * b, 1),
      ),
      [...shape],
    ),
  );
  const squares = gradients.map(gradient => tf.sum(tf.square(gradient)).dataSync()[0]!);
  const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0));
  expect(norm).toBeGreaterThan(0.7);

  const ours = made();
  const before = tf.memory().numTensors;
  const told = update(ours, gradients, options);
  expect(told.dataSync()[0]).toBeCloseTo(norm, 4);
  told.dispose();
  expect(tf.memory().numTensors).toBe(before);
  // Each alone, of a gradient that was clipped beforehand.
  const expected = made();
  for (const [i, slot] of expected.entries()) {
    const clipped = tf.mul(gradients[i]!, 0.7 / (norm + 1e-6));
    const {clipNorm: _, ...unclipped} = options;
    update([{...slot, rate: 1}], [clipped], {...unclipped, learningRate: options.learningRate * rates[i]!});
  }
  for (const part of ['variable', 'm', 'v', 'ema'] as const)
    for (const [i, slot] of ours.entries()) {
      const wanted = expected[i]![part].dataSync();
      for (const [at, value] of slot[part].dataSync().entries()) expect(value).toBeCloseTo(wanted[at]!, 6);
    }

  const still = ours.map(({variable}) => variable.dataSync().slice());
  const overflown = [gradients[0]!, tf.fill([5], Number.POSITIVE_INFINITY), gradients[2]!];
  expect(Number.isFinite(update(ours, overflown, options).dataSync()[0])).toBe(false);
  expect(ours.map(({variable}) => variable.dataSync())).toEqual(still);
  disposeSlots([...ours, ...expected]);
});
