// The upsampler stages: what their condition is, on pixels and on latents, patches, frames larger than trained on, what is
// frozen, and what they may start from.
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {loadLatest} from '../../checkpoints/index.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {lowResolutionCondition, makeSchedule, shrink, stableDiffusionSchedule} from '../../src/diffusion/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import {UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {upsampleClip} from '../../trainers/held_out/preview_upsampled.ts';
import {loadRun} from '../../trainers/index.ts';
import {cutPatches} from '../../trainers/inputs/patches.ts';
import {openUpsampling} from '../../trainers/inputs/upsampling.ts';
import {allocateExactly} from '../../trainers/parents/frozen.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import {train} from '../../trainers/train.ts';
import {randomBatch} from '../helpers/batches.ts';
import {type MicroData, type MicroStage, microConfig, microData} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
beforeAll(async () => {
  await openEngine('wasm');
});
const place = {step: 3, microBatch: 0};

describe('the condition', () => {
  test('shrinking takes means; noise follows the level; it is enlarged to where the UNet works', () => {
    const pixels = tf.reshape<tf.Rank.R5>(tf.range(0, 2 * 4 * 4 * 3), [1, 2, 4, 4, 3]);
    const low = shrink(pixels, 2);
    expect(low.shape).toEqual([1, 2, 2, 2, 3]);
    expect(low.dataSync()[0]).toBe((0 + 3 + 12 + 15) / 4);
    const schedule = makeSchedule({...stableDiffusionSchedule, betaStart: 1e-4, betaEnd: 0.02});
    const noise = tf.ones(low.shape);
    const level = 100;
    const levels = tf.tensor1d([level], 'int32');
    const noised = lowResolutionCondition(low, {noise, levels, schedule}, [2, 2]);
    const expected = schedule.alphas[level]! * low.dataSync()[5]! + schedule.sigmas[level]!;
    expect(noised.dataSync()[5]).toBeCloseTo(expected, 4);
    const enlarged = lowResolutionCondition(low, {noise, levels, schedule}, [8, 8]);
    expect(enlarged.shape).toEqual([1, 2, 8, 8, 3]);
    expect(enlarged.dataSync()[0]).toBeCloseTo(noised.dataSync()[0]!, 4);
  });

  test('patches are windows of the frames on whole low-resolution pixels, the same in all frames of a clip', () => {
    const batch = randomBatch([3, 2, 16, 24]);
    const seen = new Set<string>();
    for (let step = 0; step < 30; step++) {
      const patch = cutPatches(batch, [8, 12], 4, {seed: 1, place: {step, microBatch: 0}});
      expect(patch.shape).toEqual([3, 2, 8, 12, 3]);
      const whole = tf.tensor(batch.frames, [3, 2, 16, 24, 3], 'int32');
      for (let clip = 0; clip < 3; clip++) {
        const own = patch.frames.subarray(clip * 2 * 8 * 12 * 3, (clip + 1) * 2 * 8 * 12 * 3);
        const at = [0, 4, 8].flatMap(y => [0, 4, 8, 12].map(x => [y, x] as const));
        const found = at.find(([y, x]) => {
          const window = tf.slice(whole, [clip, 0, y, x, 0], [1, 2, 8, 12, 3]);
          return Buffer.from(own).equals(Buffer.from(Uint8Array.from(window.dataSync())));
        });
        expect(found).toBeDefined();
        seen.add(String(found));
      }
    }
    expect(seen.size).toBeGreaterThan(8);
  });

  test('every number drawn follows from the place; levels stay in their range and differ between clips', () => {
    const parts = {upsampling: {factor: 2, maxNoiseLevel: 7, schedule: makeSchedule(stableDiffusionSchedule).config}};
    const schedule = makeSchedule(stableDiffusionSchedule);
    const upsampling = openUpsampling(parts, {data: {size: [16, 16]} as never});
    const draw = (step: number) =>
      upsampling.draw(randomBatch([16, 2, 16, 16]), schedule, {seed: 1, place: {step, microBatch: 0}}, 'clip');
    const [one, again, other] = [draw(0), draw(0), draw(1)];
    expect(one.condition.low.shape).toEqual([16, 2, 16, 16, 3]);
    expect(one.condition.low.dataSync()).toEqual(again.condition.low.dataSync());
    expect(one.condition.low.dataSync()).not.toEqual(other.condition.low.dataSync());
    const levels = [...one.condition.levels.dataSync()];
    expect(Math.max(...levels)).toBeLessThanOrEqual(7);
    expect(new Set(levels).size).toBeGreaterThan(3);
    const images = upsampling.draw(randomBatch([2, 3, 16, 16]), schedule, {seed: 1, place}, 'images');
    expect(images.diffusion.latents.shape).toEqual([6, 1, 16, 16, 3]);
    expect(images.condition.levels.shape).toEqual([6]);
  });

  test('sizes that do not divide are refused by name', () => {
    const parts = {upsampling: {factor: 4, maxNoiseLevel: 7, schedule: makeSchedule(stableDiffusionSchedule).config}};
    const open = (data: object) => () => openUpsampling(parts, data as Parameters<typeof openUpsampling>[1]);
    expect(open({data: {size: [18, 16]}})).toThrow('data.size [18,16] holds 18');
    expect(open({data: {size: [16, 16]}, patch: [6, 8]})).toThrow('patch [6,8] holds 6');
    expect(open({data: {size: [16, 16]}, patch: [32, 32]})).toThrow('larger than data.size');
  });
});

describe('runs', () => {
  let data: MicroData;
  let root = '';
  const parse = (stage: MicroStage, change: object = {}) =>
    stageSchemas[stage].parse({...microConfig(stage, data, {root, steps: 3}), ...change});
  beforeAll(async () => {
    data = await microData();
    root = path.join(data.folder, 'runs');
    for (const stage of ['autoencoder', 'upsampler-image', 'upsampler'] as const)
      await train(parse(stage), {logStyle: 'json'});
  }, 3 * MINUTES);
  afterAll(() => data?.remove());

  test('upsampler: temporal layers alone train; spatial weights keep their bytes and have no slot', async () => {
    const [image, video] = [
      await loadRun(path.join(root, 'upsampler-image')),
      await loadRun(path.join(root, 'upsampler'), 'raw'),
    ];
    expect(image.autoencoder).toBeUndefined();
    expect(image.upsampling).toMatchObject({factor: 2, maxNoiseLevel: 350});
    expect(video.upsampling).toEqual(image.upsampling);
    expect(video.diffusion).toMatchObject({prediction: 'v'});
    const isTemporal = (name: string) => /temporal_|time_mixer|time_pos_embed/.test(name);
    for (const [name, {data: values}] of image.unet!.weights) {
      expect(isTemporal(name)).toBe(false);
      expect(video.unet!.weights.get(name)!.data, name).toEqual(values);
    }
    const {state} = (await loadLatest(path.join(root, 'upsampler', 'checkpoints')))!;
    expect(state.weights.size).toBeGreaterThan(50);
    expect([...state.weights.keys(), ...state.optimizers.adamw!.keys()].every(isTemporal)).toBe(true);
    expect(state.metrics.loss).not.toBe(state.metrics.lossAlphaOne);
  });

  test('a finished upsampler runs on frames larger than its patches, together and each alone', async () => {
    const {unet: part, diffusion, ...run} = await loadRun(path.join(root, 'upsampler'));
    const unet = allocateExactly(new UNet(part!.config), part!.weights, 'upsampler');
    const upsampling = openUpsampling(run, {data: {size: [24, 32]} as never});
    const schedule = makeSchedule(diffusion!.schedule);
    const model = {unet, schedule, prediction: diffusion!.prediction, upsampling};
    const condition = upsampling.heldOutCondition(randomBatch([1, 4, 24, 32]), 0);
    const options = {steps: 2, seed: 1, index: 0};
    // Tables are made at the first use.
    for (const mode of ['video', 'image'] as const)
      (await upsampleClip(model, condition, {...options, mode})).dispose();
    const before = tf.memory().numTensors;
    const together = await upsampleClip(model, condition, {...options, mode: 'video'});
    const alone = await upsampleClip(model, condition, {...options, mode: 'image'});
    expect(together.shape).toEqual([1, 4, 24, 32, 3]);
    expect([...together.dataSync()].every(Number.isFinite)).toBe(true);
    expect(together.dataSync()).not.toEqual(alone.dataSync());
    expect(tf.memory().numTensors).toBe(before + 2);
  });

  test('a held-out condition is noised to the level asked for', async () => {
    const {unet: _unet, diffusion: _diffusion, ...run} = await loadRun(path.join(root, 'upsampler'));
    const upsampling = openUpsampling(run, {data: {size: [24, 32]} as never});
    const clip = randomBatch([1, 4, 24, 32]);
    const distance = (level: number) => {
      const [clean, noised] = [0, level].map(at => upsampling.heldOutCondition(clip, 0, at));
      expect([...noised!.levels.dataSync()]).toEqual([level]);
      return tf.tidy(() => tf.mean(tf.abs(tf.sub(noised!.low, clean!.low))).dataSync()[0]!);
    };
    expect(distance(60)).toBeGreaterThan(1.5 * distance(20));
    upsampling.dispose();
  });

  test(
    'on latents: four channels and the low-resolution RGB, the scale factor measured, previews written',
    async () => {
      const config = parse('upsampler-image', {
        run: {name: 'latent', root, seed: 5},
        from: path.join(root, 'autoencoder'),
        preview: {every: 3, clips: 1, samplerSteps: 2},
        patch: undefined,
      });
      await train(config, {logStyle: 'json'});
      const run = await loadRun(path.join(root, 'latent'));
      expect(run.unet!.config).toMatchObject({inChannels: 7, outChannels: 4, classEmbedding: 1000});
      expect(run.scaleFactor).toBeGreaterThan(0);
      const video = await freezeParent(parse('upsampler', {from: path.join(root, 'latent')}));
      expect(video!.autoencoder).toBeDefined();
      expect(video!.scaleFactor).toBe(run.scaleFactor);
    },
    MINUTES,
  );

  test('what it may not start from, and another way of seeing, are refused', async () => {
    await expect(freezeParent(parse('upsampler', {from: path.join(root, 'autoencoder')}))).rejects.toThrow(
      'starts from a run of stage "upsampler-image"',
    );
    await expect(freezeParent(parse('upsampler', {upsampling: {factor: 4}}))).rejects.toThrow('upsampling is');
    await expect(freezeParent(parse('upsampler', {diffusion: {prediction: 'eps'}}))).rejects.toThrow(
      'diffusion.prediction is eps',
    );
    const again = parse('upsampler-image', {from: path.join(root, 'upsampler-image')});
    await expect(freezeParent(again)).rejects.toThrow('"unet" is given');
    const {unet: _, upsampling: __, diffusion: ___, ...rest} = again as Record<string, unknown>;
    const frozen = await freezeParent(stageSchemas['upsampler-image'].parse(rest));
    expect(frozen!.diffusion!.prediction).toBe('v');
    expect(frozen!.upsampling!.factor).toBe(2);
  });
});
