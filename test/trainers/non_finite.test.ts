// A value that is not finite ends the run with one sentence and code 1: step, samples, first bad tensor. The checkpoints
// written before stay whole.
import {readdirSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {loadLatest} from '../../checkpoints/index.ts';
import {alone, openEngine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {refuseNonFinite, refuseNonFiniteState} from '../../trainers/optimizer/non_finite.ts';
import {disposeSlots, type MomentSlot, makeMomentSlots} from '../../trainers/optimizer/optimizer.ts';
import {Starvation} from '../../trainers/run/throughput.ts';
import {command, type MicroData, microConfig, microData, writeConfig} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
let data: MicroData;
let slots: MomentSlot[] = [];

beforeAll(async () => {
  data = await microData();
  await openEngine('wasm');
  const trained = ['first', 'second'].map(name => ({
    spec: {path: name, shape: [2], init: {kind: 'zeros'}, layout: 'vector', part: 'spatial'} as const,
    variable: tf.variable(tf.tensor1d([1, 2])),
  }));
  slots = makeMomentSlots(trained);
}, 2 * MINUTES);
afterAll(() => {
  data?.remove();
  disposeSlots(slots);
});

const step = {step: 6, keys: ['a', 'b', 'c', 'd'], loss: Number.NaN};
const good = () => [tf.tensor1d([1, 1]), tf.tensor1d([1, 1])];
const latents = (values: number[]) => ({
  latents: tf.tensor(values, [2, 1, 2]),
  timesteps: tf.tensor1d([1, 2], 'int32'),
});

test('an input is named with its sample, before weights and gradients', async () => {
  const inputs = [latents([1, 1, 1, 1]), latents([1, 1, Number.POSITIVE_INFINITY, 1])];
  const bad = [tf.tensor1d([1, 1]), tf.tensor1d([Number.NaN, 1])];
  await expect(refuseNonFinite({...step, inputs, slots, gradients: bad}, alone)).rejects.toThrow(
    /^Step 7 is not finite \(loss NaN\): the first bad value is in the input latents of sample d, with samples a, b, c, d; /,
  );
});

test('a weight, a gradient, or the loss alone', async () => {
  const inputs = [latents([1, 1, 1, 1]), latents([1, 1, 1, 1])];
  await expect(refuseNonFinite({...step, inputs, slots, gradients: good()}, alone)).rejects.toThrow(
    'in the loss, with',
  );
  const bad = [tf.tensor1d([1, 1]), tf.tensor1d([Number.NaN, 1])];
  await expect(refuseNonFinite({...step, inputs, slots, gradients: bad}, alone)).rejects.toThrow(
    'in the gradient of second,',
  );
  slots[0]!.variable.assign(tf.tensor1d([1, Number.NEGATIVE_INFINITY]));
  await expect(refuseNonFinite({...step, inputs, slots, gradients: bad}, alone)).rejects.toThrow(
    'in the weight first,',
  );
});

test('a state that is not finite is not saved', async () => {
  slots[0]!.variable.assign(tf.tensor1d([1, 2]));
  await refuseNonFiniteState(3, slots);
  slots[1]!.v.assign(tf.tensor1d([0, Number.NaN]));
  await expect(refuseNonFiniteState(3, slots)).rejects.toThrow(
    /^After step 3 the second moment of second is not finite/,
  );
});

test(
  'a run that diverges stops by itself and leaves its last good checkpoint',
  async () => {
    const root = path.join(data.folder, 'runs');
    const config = microConfig('autoencoder', data, {root, name: 'diverges', steps: 200, checkpointEvery: 1});
    const file = writeConfig(data.folder, 'diverges', config);
    const {status, stdout, stderr} = command(
      ...['train', file, '--set', 'optimizer={learningRate: 10, weightDecay: 1000, emaDecay: 0.9}'],
      ...['--set', 'heldOut.every=200', '--set', 'checkpoint.every=1'],
    );
    expect(status, stdout.slice(-2000)).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    const found =
      /Step (\d+) is not finite \(loss .*\): the first bad value is in the \S+ .*, with samples \S+, \S+; /.exec(
        stderr,
      );
    expect(found, stderr).not.toBeNull();
    const {state, skipped} = (await loadLatest(path.join(root, 'diverges', 'checkpoints')))!;
    expect(skipped).toEqual([]);
    expect(state.step).toBe(Number(found![1]) - 1);
    for (const [name, {data: values}] of state.weights) expect(values.every(Number.isFinite), name).toBe(true);
    expect(readdirSync(path.join(root, 'diverges', 'checkpoints')).filter(name => name.startsWith('.writing'))).toEqual(
      [],
    );
  },
  4 * MINUTES,
);

test('a starving run says so, not at its start and ever more rarely', () => {
  const starvation = new Starvation();
  const told = Array.from({length: 16}, () => starvation.told(0.8) !== undefined);
  expect(told.flatMap((yes, window) => (yes ? [window] : []))).toEqual([1, 3, 7, 15]);
  expect(new Starvation().told(0.4)).toBeUndefined();
});
