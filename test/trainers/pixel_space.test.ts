// From "pixels" an image model works in pixel space: latents are pixels, and what grows out of it does so as well.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {AutoencoderKL, pixelSpace} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {loadRun, sampleRun} from '../../trainers/index.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, microConfig, microData} from '../helpers/micro_runs.ts';

let data: MicroData;
beforeAll(async () => {
  data = await microData();
  await openEngine('wasm');
}, 60_000);
afterAll(() => data?.remove());

test('pixels are their own latents', () => {
  const space = new AutoencoderKL(pixelSpace).allocate(0);
  expect([space.weightSpecs().length, space.factor]).toEqual([0, 1]);
  const pixels = tf.randomUniform<tf.Rank.R4>([2, 4, 4, 3], -1, 1);
  const {mean, logvar} = space.encode(pixels);
  expect(mean.dataSync()).toEqual(pixels.dataSync());
  expect(tf.max(logvar).dataSync()[0]).toBe(-30);
  expect(space.decode(mean).dataSync()).toEqual(pixels.dataSync());
});

test('an image model and its layers over time train on pixels', async () => {
  const root = path.join(data.folder, 'runs');
  const image = microConfig('image', data, {root, steps: 2}) as {unet: object};
  const unet = {...image.unet, inChannels: 3, outChannels: 3};
  const first = await train(stageSchemas.image.parse({...image, from: 'pixels', unet}), {logStyle: 'json'});
  const video = microConfig('temporal', data, {root, steps: 2});
  const second = await train(stageSchemas.temporal.parse(video), {logStyle: 'json'});
  for (const {metrics} of [first, second]) expect(metrics.loss).toBeGreaterThan(0);
  const run = await loadRun(path.join(root, 'temporal'));
  expect(run.autoencoder?.config).toEqual(pixelSpace);
  expect(run.scaleFactor).toBe(1);
  const quiet = {engine: 'wasm', format: 'png', onProgress: () => undefined} as const;
  const sample = (name: string, sampling: object) =>
    sampleRun({run: path.join(root, name), out: path.join(root, `${name}-samples`), ...quiet, sampling});
  const still = await sample('image', {steps: 2});
  const clip = await sample('temporal', {steps: 2, size: [24, 32], fps: 4});
  const made = (file: string) => JSON.parse(readFileSync(`${file}.json`, 'utf8')).made as object;
  expect(made(still.files[0]!)).toMatchObject({frames: 1, height: 16, width: 16});
  expect(made(clip.files[0]!)).toMatchObject({frames: 4, height: 24, width: 32, fps: 4});
}, 120_000);
