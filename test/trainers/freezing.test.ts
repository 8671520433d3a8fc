// After the temporal stage every spatial weight has the same bytes as before and every temporal weight has moved; what is
// frozen has no gradient and no optimiser slot.
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {loadCheckpoint, loadLatest} from '../../checkpoints/index.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {loadRun} from '../../trainers/index.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, microConfig, microData} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const isTemporal = (name: string) => /temporal_|time_mixer|time_pos_embed/.test(name);
let data: MicroData;
let root = '';

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  await openEngine('wasm');
  const run = (stage: 'autoencoder' | 'image' | 'temporal') => microConfig(stage, data, {root, steps: 3});
  await train(stageSchemas.autoencoder.parse(run('autoencoder')), {logStyle: 'json'});
  await train(stageSchemas.image.parse(run('image')), {logStyle: 'json'});
  await train(stageSchemas.temporal.parse(run('temporal')), {logStyle: 'json'});
}, 3 * MINUTES);
afterAll(() => data?.remove());

test('spatial weights keep their bytes, temporal weights have moved', async () => {
  const [image, video] = [await loadRun(path.join(root, 'image')), await loadRun(path.join(root, 'temporal'), 'raw')];
  expect(image.unet!.weights.size).toBeGreaterThan(50);
  for (const [name, {data: values}] of image.unet!.weights) {
    expect(Buffer.from(video.unet!.weights.get(name)!.data.buffer).equals(Buffer.from(values.buffer)), name).toBe(true);
  }
  for (const [name, {data: values}] of image.autoencoder!.weights) {
    expect(video.autoencoder!.weights.get(name)!.data, name).toEqual(values);
  }
  const temporal = [...video.unet!.weights.keys()].filter(name => !image.unet!.weights.has(name));
  expect(temporal.length).toBeGreaterThan(50);
  expect(temporal.every(isTemporal)).toBe(true);
});

test('every temporal weight differs from its start, and nothing frozen has a slot', async () => {
  const checkpoints = path.join(root, 'temporal', 'checkpoints');
  const before = await loadCheckpoint(path.join(checkpoints, 'step-000000002'));
  const after = (await loadLatest(checkpoints))!.state;
  expect(after.step).toBe(3);
  for (const [name, {data: values}] of after.weights) {
    expect(isTemporal(name), name).toBe(true);
    const moved = values.some((value, i) => value !== before.weights.get(name)!.data[i]);
    expect(moved, `${name} did not move`).toBe(true);
  }
  const slots = [...after.optimizers.adamw!.keys()];
  expect(slots).toHaveLength(2 * after.weights.size);
  expect(slots.every(isTemporal)).toBe(true);
});
