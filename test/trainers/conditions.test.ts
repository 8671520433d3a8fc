// A conditional image model and its video model: conditions reach the loss, are dropped as configured, are saved with the
// weights, and later stages freeze them.
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {directionOf, directions, drawShape, movingShape, writeShapeShards} from '../../scripts/moving_shapes.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {ConditionEncoder} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {loadRun} from '../../trainers/index.ts';
import {buildConditionEncoder, Conditioning, conditionsOf} from '../../trainers/inputs/conditions.ts';
import {heldOutBatches} from '../../trainers/inputs/data.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, microConfig, microData} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const clips = {frames: 4, size: 16, fps: 6, pace: 0.09};
const conditions = {
  drop: 0.2,
  text: {encoder: {channels: 8, layers: 1, heads: 2, tokens: 8, vocabulary: 64}},
  labels: {classes: {direction: {values: ['left', 'right', 'up', 'down']}}},
  boxes: {classes: ['square', 'disc'], max: 2},
  fps: {},
};
let data: MicroData;
let root = '';
const config = (stage: 'autoencoder' | 'image' | 'temporal', extra: object = {}) => ({
  ...microConfig(stage, data, {root, steps: 3}),
  ...extra,
});

beforeAll(async () => {
  const made = await microData();
  const shards = path.join(made.folder, 'shapes');
  data = {
    ...made,
    train: await writeShapeShards(shards, 'train', {...clips, count: 8, seed: 1}),
    heldOut: await writeShapeShards(shards, 'validation', {...clips, count: 3, seed: 2}),
  };
  root = path.join(data.folder, 'runs');
  await openEngine('wasm');
  await train(stageSchemas.autoencoder.parse(config('autoencoder')), {logStyle: 'json'});
  await train(stageSchemas.image.parse(config('image', {conditions})), {logStyle: 'json'});
  await train(stageSchemas.temporal.parse(config('temporal')), {logStyle: 'json'});
}, 3 * MINUTES);
afterAll(() => data?.remove());

test('every weight of the conditions trained with the image model, and the video model keeps its bytes', async () => {
  const [image, video] = [await loadRun(path.join(root, 'image'), 'raw'), await loadRun(path.join(root, 'temporal'))];
  const averaged = await loadRun(path.join(root, 'image'));
  const names = [...image.conditions!.weights.keys()];
  expect(names.filter(name => name.startsWith('text_encoder.')).length).toBeGreaterThan(10);
  expect(names).toContain('labels.direction.weight');
  expect(names).toContain('boxes.linear_1.weight');
  expect(image.unet!.config).toMatchObject({crossAttentionDim: 8, addedNumbers: {count: 1}});
  expect([...image.unet!.weights.keys()].some(name => name.startsWith('conditions.'))).toBe(false);
  for (const [name, {data: values}] of averaged.conditions!.weights)
    expect(Buffer.from(video.conditions!.weights.get(name)!.data.buffer).equals(Buffer.from(values.buffer)), name).toBe(
      true,
    );
  expect(video.unet!.config.temporal).toBeDefined();
});

test('a text encoder from nothing that does not train stays as initialised, and the video model reads it', async () => {
  const text = {...conditions.text, train: false};
  const still = {run: {name: 'still-text', root, seed: 5}, train: {steps: 1}};
  const image = stageSchemas.image.parse(config('image', {...still, conditions: {...conditions, text}}));
  await train(image, {logStyle: 'json'});
  const from = path.join(root, 'still-text');
  const run = {name: 'still-text-video', root, seed: 6};
  await train(stageSchemas.temporal.parse(config('temporal', {...still, run, from})), {logStyle: 'json'});
  const initial = new ConditionEncoder((await loadRun(from)).conditions!.config).allocate(5, 'conditions');
  const trained = await loadRun(from, 'raw');
  const video = await loadRun(path.join(root, run.name), 'raw');
  const names = [...initial.namedWeights().keys()].filter(name => name.startsWith('text_encoder.'));
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    const values = initial.namedWeights().get(name)!.dataSync();
    expect(trained.conditions!.weights.get(name)!.data, name).toEqual(values);
    expect(video.conditions!.weights.get(name)!.data, name).toEqual(values);
  }
  initial.dispose();
}, 60_000);

test('what a finished run says of conditions is what its data say', async () => {
  const run = await loadRun(path.join(root, 'temporal'));
  const encoder = buildConditionEncoder(run.conditions!);
  const [batch] = await heldOutBatches(run.config);
  const [first, , third] = conditionsOf(batch!, encoder.config, 'images');
  const shape = movingShape(2, 0);
  expect(first).toMatchObject({
    text: `a ${shape.colour} ${shape.shape} moves ${shape.direction}`,
    labels: {direction: shape.direction},
    fps: 6,
  });
  expect(third!.boxes).toHaveLength(1);
  expect(third!.boxes![0]!.class).toBe(shape.shape);
  const drawn = drawShape(shape, clips).boxes[2]!;
  for (const [i, corner] of third!.boxes![0]!.corners.entries()) expect(corner).toBeCloseTo(drawn[i]!, 5);
  encoder.dispose();
});

test('conditions are left out as often as configured, as a function of seed and step', async () => {
  const run = await loadRun(path.join(root, 'image'));
  const encoder = buildConditionEncoder(run.conditions!);
  const [one] = await heldOutBatches(run.config);
  const many = Array.from({length: 400}, () => 0);
  const batch = {
    ...one!,
    shape: [many.length, 4, 16, 16, 3] as const,
    keys: many.map(() => 'x'),
    captions: many.map(() => 'a red disc'),
    fps: many.map(() => 6),
    labels: many.map(() => ({})),
    boxes: many.map(() => []),
    metadata: many.map(() => ({direction: 'up'})),
  };
  const conditioning = new Conditioning(encoder, {all: 0.3, text: 0.5, labels: 0, boxes: 0, fps: 0});
  const drawn = (step: number) =>
    tf.tidy(() => {
      const {labels, fps, text} = conditioning.prepare(batch, 'clips', {seed: 7, place: {step, microBatch: 0}});
      const empty = encoder.encode([{}]).context!.dataSync().slice(8, 16);
      const words = [...text!.dataSync()];
      const length = text!.shape[1]! * text!.shape[2]!;
      const isEmpty = many.map((_, i) => Math.abs(words[i * length + 8]! - empty[0]!) < 1e-6);
      return {labels: [...labels!.dataSync()], fps: [...fps!.dataSync()], isEmpty};
    });
  const {labels, fps, isEmpty} = drawn(3);
  const share = (list: unknown[]) => list.filter(Boolean).length / list.length;
  expect(share(labels.map(label => label === 0))).toBeCloseTo(0.3, 1);
  // Dropped together: where the label is gone, the frame rate and the text are.
  for (const [i, label] of labels.entries()) {
    expect(fps[i]).toBe(label === 0 ? 0 : 6);
    if (label === 0) expect(isEmpty[i]).toBe(true);
  }
  expect(share(isEmpty)).toBeCloseTo(0.3 + 0.7 * 0.5, 1);
  expect(drawn(3)).toEqual({labels, fps, isEmpty});
  expect(drawn(4).labels).not.toEqual(labels);
  conditioning.dispose();
});

test('a section that does not fit is refused by name', async () => {
  const refused = (change: object, extra: object = {}) =>
    train(stageSchemas.image.parse({...config('image', extra), run: {name: 'refused', root}, conditions: change}), {
      logStyle: 'json',
    });
  await expect(refused({labels: conditions.labels})).rejects.toThrow('set unet.crossAttentionDim');
  await expect(refused({text: {}})).rejects.toThrow('the parent brings no text encoder');
  const {unet: _, ...goesOn} = config('image') as Record<string, unknown>;
  await expect(
    train(
      stageSchemas.image.parse({...goesOn, from: path.join(root, 'image'), run: {name: 'refused', root}, conditions}),
      {logStyle: 'json'},
    ),
  ).rejects.toThrow('conditions.text.encoder is given, but the parent brings its conditions');
  expect(() => stageSchemas.image.parse(config('image', {conditions: {labels: {classes: {night: {}}}}}))).toThrow(
    /give values or upTo/,
  );
});

test('directions are measured as drawn, of every shape and on a lit ground', () => {
  for (const direction of directions) {
    for (const lit of [false, true]) {
      for (const shape of ['square', 'disc', 'ring'] as const) {
        const drawn = {...movingShape(9, 4), shape, direction};
        const {data: frames} = drawShape(drawn, {frames: 6, size: 32, pace: 0.08, lit});
        expect(directionOf(frames, [6, 32, 32]), `${shape} ${direction}`).toBe(direction);
      }
    }
  }
});

test('the text encoder learns at its own rate, with the schedule of all', async () => {
  const one = {train: {steps: 1}, optimizer: {learningRate: 1e-3, weightDecay: 0}, checkpoint: {every: 1}};
  const runOf = async (name: string, learningRate: number | undefined) => {
    const own = {...conditions, text: {...conditions.text, learningRate}};
    const change = {...one, run: {name, root, seed: 5}, conditions: own};
    await train(stageSchemas.image.parse(config('image', change)), {logStyle: 'json'});
    return loadRun(path.join(root, name), 'raw');
  };
  const [same, slow] = [await runOf('text-same', undefined), await runOf('text-slow', 1e-5)];
  const initial = new ConditionEncoder(same.conditions!.config).allocate(5, 'conditions');
  const moved = (run: typeof same) => {
    const largest = {text: 0, others: 0};
    for (const [name, {data: values}] of run.conditions!.weights) {
      const was = initial.namedWeights().get(name)!.dataSync();
      const part = name.startsWith('text_encoder.') ? 'text' : 'others';
      for (const [i, value] of values.entries()) largest[part] = Math.max(largest[part], Math.abs(value - was[i]!));
    }
    return largest;
  };
  // The first step of Adam is as long as the learning rate.
  expect(moved(same).text).toBeCloseTo(1e-3, 5);
  expect(moved(slow).text).toBeCloseTo(1e-5, 7);
  expect(moved(slow).others).toBeCloseTo(1e-3, 5);
  for (const [name, {data: values}] of slow.unet!.weights)
    for (const [i, value] of same.unet!.weights.get(name)!.data.entries()) expect(values[i]).toBeCloseTo(value, 6);
  initial.dispose();
  const still = {...conditions, text: {...conditions.text, train: false, learningRate: 1e-5}};
  await expect(
    train(stageSchemas.image.parse(config('image', {run: {name: 'still', root}, conditions: still})), {
      logStyle: 'json',
    }),
  ).rejects.toThrow('conditions.text.learningRate is given, but the text encoder does not train');
}, 60_000);

test('the light comes from the right and from below, wherever the shape goes', () => {
  const size = 16;
  const ground = {...movingShape(9, 4), direction: 'left'} as const;
  const [dark, lit] = [false, true].map(lit => drawShape(ground, {frames: 1, size, pace: 0, lit}).data);
  const added = (x: number, y: number, c: number) => lit![(y * size + x) * 3 + c]! - dark![(y * size + x) * 3 + c]!;
  // Corners, which the shape does not reach.
  expect([added(0, 0, 0), added(15, 0, 0), added(0, 0, 1), added(15, 15, 1), added(0, 0, 2), added(0, 15, 2)]).toEqual([
    2, 62, 0, 0, 2, 62,
  ]);
});
