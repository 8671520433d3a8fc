// Conditions that a parent was not trained with are added to it: the frame rate, labels, boxes. What they need in the UNet
// starts behind zeros, so that the model begins as its parent ended; then it trains.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {writeShapeShards} from '../../scripts/moving_shapes.ts';
import {mergeSampling} from '../../src/config/pipeline.ts';
import {type StageConfig, stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {type LoadedRun, loadRun} from '../../trainers/index.ts';
import {allocateExactly} from '../../trainers/parents/frozen.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import {buildModels, encodeConditions} from '../../trainers/sampling/build_models.ts';
import {readParts} from '../../trainers/sampling/host_parts.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, type MicroStage, microConfig, microData} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const text = {encoder: {channels: 8, layers: 1, heads: 2, tokens: 8, vocabulary: 64}, drop: 0.25};
const direction = {direction: {values: ['left', 'right', 'up', 'down']}};
const boxes = {classes: ['square', 'disc'], max: 2};
let data: MicroData;
let root = '';
const runAt = (name: string) => path.join(root, name);

const parse = (stage: MicroStage, name: string, change: object = {}) =>
  stageSchemas[stage].parse({
    ...microConfig(stage, data, {root, name, steps: 3}),
    ...change,
  }) as StageConfig;

/** A stage from a run that brings its UNet. */
function from(parent: string, stage: MicroStage, name: string, change: object = {}): StageConfig {
  const {unet: _, ...config} = microConfig(stage, data, {root, name, steps: 3}) as Record<string, unknown>;
  return stageSchemas[stage].parse({...config, from: runAt(parent), ...change}) as StageConfig;
}

beforeAll(async () => {
  const made = await microData();
  const clips = {frames: 4, size: 16, fps: 6, pace: 0.09};
  const shards = path.join(made.folder, 'shapes');
  data = {
    ...made,
    train: await writeShapeShards(shards, 'train', {...clips, count: 8, seed: 1}),
    heldOut: await writeShapeShards(shards, 'validation', {...clips, count: 2, seed: 2}),
  };
  root = path.join(data.folder, 'runs');
  await openEngine('wasm');
  await train(parse('autoencoder', 'autoencoder'), {logStyle: 'json'});
  await train(parse('image', 'plain'), {logStyle: 'json'});
  await train(parse('image', 'told', {conditions: {drop: 0.2, text, labels: {drop: 0.5, classes: direction}}}), {
    logStyle: 'json',
  });
}, 3 * MINUTES);
afterAll(() => data?.remove());

/** Held-out figures of averaged weights. */
function figures(run: string, which: 'first' | 'last'): Record<string, number> {
  const lines = readFileSync(path.join(runAt(run), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const heldOut = lines.map(line => JSON.parse(line) as Record<string, number>).filter(line => 'raw.loss' in line);
  return heldOut.at(which === 'first' ? 0 : -1)!;
}

const isZero = (run: LoadedRun, name: string) => run.unet!.weights.get(name)!.data.every(value => value === 0);

describe('in the image stage', () => {
  test('the frame rate: the same loss at first, then its path trains', async () => {
    await train(from('plain', 'image', 'with-fps', {conditions: {fps: {}}}), {logStyle: 'json'});
    expect(figures('with-fps', 'first').loss).toBe(figures('plain', 'last').loss);
    const run = await loadRun(runAt('with-fps'), 'raw');
    expect(run.unet!.config).toMatchObject({addedNumbers: {count: 1, dim: 8}});
    expect(run.unet!.config.addedNumbers!.to).toBeUndefined();
    expect(isZero(run, 'add_embedding.linear_2.weight')).toBe(false);
  });

  test('labels and boxes to a model that attended to nothing: the same loss at first', async () => {
    const conditions = {drop: 0, labels: {classes: direction}, boxes};
    await expect(freezeParent(from('plain', 'image', 'refused', {conditions}))).rejects.toThrow(
      'conditions.tokenWidth',
    );
    await train(from('plain', 'image', 'attending', {conditions: {...conditions, tokenWidth: 6}}), {logStyle: 'json'});
    expect(figures('attending', 'first').loss).toBe(figures('plain', 'last').loss);
    const run = await loadRun(runAt('attending'), 'raw');
    expect(run.unet!.config.crossAttentionDim).toBe(6);
    const outputs = [...run.unet!.weights.keys()].filter(name => /attn2\.to_out\.0\.weight$/.test(name));
    expect(outputs.length).toBeGreaterThan(2);
    for (const name of outputs) expect(isZero(run, name), name).toBe(false);
    expect([...run.conditions!.weights.keys()]).toContain('boxes.linear_1.weight');
  });

  test("boxes and a label beside the parent's own, whose weights and drop rates go on", async () => {
    const night = {night: {values: [0, 1]}};
    const conditions = {drop: 0.3, labels: {drop: 0.1, classes: night}, boxes, fps: {drop: 0.4}};
    const config = from('told', 'image', 'boxed', {conditions});
    const [frozen, parent] = [(await freezeParent(config))!.conditions!, await loadRun(runAt('told'))];
    expect(frozen.config).toEqual({
      ...{...parent.conditions!.config, labels: {...direction, ...night}, boxes, fps: true},
    });
    expect(frozen.weights).toEqual(parent.conditions!.weights);
    expect(frozen.drop).toEqual({all: 0.3, text: 0.25, labels: 0.1, boxes: 0, fps: 0.4});
    expect(frozen.textTrains).toBe(true);
    await train(config, {logStyle: 'json'});
    const run = await loadRun(runAt('boxed'), 'raw');
    const names = [...run.conditions!.weights.keys()];
    for (const name of ['labels.direction.weight', 'labels.night.weight', 'boxes.linear_1.weight'])
      expect(names).toContain(name);
    await train(from('boxed', 'temporal', 'boxed-video'), {logStyle: 'json'});
    const video = await loadRun(runAt('boxed-video'));
    expect(video.conditions!.config).toEqual(run.conditions!.config);
  });

  test('what the parent has is not described again', async () => {
    const refused = (conditions: object) =>
      expect(freezeParent(from('told', 'image', 'refused', {conditions}))).rejects;
    await refused({labels: {classes: direction}}).toThrow(
      'conditions.labels.classes.direction is given, but the parent',
    );
    await refused({text}).toThrow('conditions.text.encoder is given, but the parent');
    await refused({tokenWidth: 6, boxes}).toThrow('conditions.tokenWidth is 6, but the UNet attends to tokens of 8');
  });
});

describe('in the temporal stage', () => {
  const fps = {conditions: {fps: {}}};

  test('the frame rate enters the layers over time alone; the image model stays what it is', async () => {
    await train(from('plain', 'temporal', 'video'), {logStyle: 'json'});
    await train(from('plain', 'temporal', 'video-fps', fps), {logStyle: 'json'});
    const [without, withFps] = [figures('video', 'first'), figures('video-fps', 'first')];
    expect(withFps.loss).toBe(without.loss);
    expect(withFps.lossAlphaOne).toBe(without.lossAlphaOne);

    const [image, video] = [await loadRun(runAt('plain')), await loadRun(runAt('video-fps'), 'raw')];
    expect(video.unet!.config.addedNumbers).toEqual({count: 1, dim: 8, to: 'temporal'});
    expect(isZero(video, 'add_embedding.linear_2.weight')).toBe(false);
    const networks = [image, video].map(run => allocateExactly(new UNet(run.unet!.config), run.unet!.weights, 'model'));
    const latents = tf.randomNormal([1, 3, 8, 8, 4], 0, 1, 'float32', 7);
    const timesteps = tf.tensor1d([400], 'int32');
    const rate = (value: number) => ({addedNumbers: tf.tensor2d([[value]])});
    const [asImages, overTime] = networks as [UNet, UNet];
    const frames = asImages.forward({latents, timesteps, mode: 'image'}).dataSync();
    expect(overTime.forward({latents, timesteps, mode: 'image'}).dataSync()).toEqual(frames);
    const [slow, fast] = [6, 24].map(value => overTime.forward({latents, timesteps, ...rate(value)}).dataSync());
    expect(slow).not.toEqual(fast);
    expect(() => overTime.forward({latents, timesteps})).toThrow('pass addedNumbers [B,1]');
    for (const network of networks) network.dispose();
  });

  test('the frame rate to layers over time that are trained already, and on through prediction to sampling', async () => {
    await train(from('video', 'temporal', 'video-again-fps', fps), {logStyle: 'json'});
    expect(figures('video-again-fps', 'first').loss).toBe(figures('video', 'last').loss);
    await train(from('video-again-fps', 'prediction', 'prediction'), {logStyle: 'json'});
    expect(figures('prediction', 'first').loss).toBe(figures('video-again-fps', 'last').loss);
    const parts = {keyFrames: runAt('video-fps'), spatial: runAt('plain'), prediction: runAt('prediction')};
    const models = buildModels(await readParts(parts, 'ema'), mergeSampling({}, {}), undefined);
    const latents = tf.ones<tf.Rank.R5>([1, 4, 8, 8, 4]);
    for (const part of [models.keyFrames, models.prediction!]) {
      const {conditions} = encodeConditions(part, {}, {fps: 12});
      expect([...conditions.addedNumbers!.dataSync()]).toEqual([12]);
      const told = {latents, timesteps: tf.tensor1d([5], 'int32'), ...conditions};
      expect(part.model.unet.forward(told).shape).toEqual([1, 4, 8, 8, 4]);
    }
    models.dispose();
  });

  test('what has tokens, or nowhere to enter, is refused by name', async () => {
    const refused = (change: object) => expect(freezeParent(from('told', 'temporal', 'refused', change))).rejects;
    await refused({conditions: {boxes}}).toThrow('conditions.boxes is new to the parent');
    await expect(
      freezeParent(from('plain', 'temporal', 'refused', {conditions: {tokenWidth: 6, labels: {classes: direction}}})),
    ).rejects.toThrow('conditions.labels is new to the parent');
    const attentionAlone = from('plain', 'temporal', 'attention', {...fps, temporal: {conv: false}});
    await expect(train(attentionAlone, {logStyle: 'json'})).rejects.toThrow('set temporal.conv to true');
    const frozen = await freezeParent(from('told', 'temporal', 'told-video', {conditions: {drop: 0.4}}));
    expect(frozen!.conditions!.drop).toMatchObject({all: 0.4, text: 0.25, labels: 0.5});
  });
});
