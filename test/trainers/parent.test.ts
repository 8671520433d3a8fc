// What a stage may start from: runs of the stages before it, imported model folders; refusals name the field.
import {rmSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {writeCheckpoint} from '../../checkpoints/index.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {readFrozen, writeFrozen} from '../../trainers/parents/frozen.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import {type MicroData, microConfig, microData} from '../helpers/micro_runs.ts';
import {writeModelFolder} from '../helpers/model_folders.ts';

const MINUTES = 60_000;
let data: MicroData;
let imported = '';

beforeAll(async () => {
  await openEngine('wasm');
  data = await microData();
  imported = await writeModelFolder(path.join(data.folder, 'imported'));
}, MINUTES);
afterAll(() => data?.remove());

const image = (change: object) => {
  const {unet: _, ...config} = microConfig('image', data, {root: data.folder}) as Record<string, unknown>;
  return stageSchemas.image.parse({...config, from: imported, ...change});
};

test('an imported model brings its networks, scale factor, schedule and prediction', async () => {
  const frozen = (await freezeParent(image({})))!;
  expect(frozen.parent).toEqual({path: imported, stage: 'imported', step: 0});
  expect(frozen.scaleFactor).toBe(0.5);
  expect(frozen.diffusion).toMatchObject({prediction: 'v', schedule: {kind: 'scaled_linear', betaEnd: 0.012}});
  expect(frozen.unet!.config.channels).toEqual([8, 16]);
  expect(frozen.unet!.weights.size).toBeGreaterThan(50);
  const folder = path.join(data.folder, 'frozen');
  await writeFrozen(folder, frozen);
  expect(await readFrozen(folder)).toEqual(frozen);
});

test('what the first version froze, an autoencoder and a UNet side by side, is still read', async () => {
  const {parent, autoencoder, unet, scaleFactor, diffusion} = (await freezeParent(image({})))!;
  const folder = path.join(data.folder, 'frozen-first');
  await writeCheckpoint(folder, {
    stage: 'frozen',
    step: 0,
    weights: unet!.weights,
    companions: {autoencoder: autoencoder!.weights},
    optimizers: {},
    data: null,
    metrics: {},
    config: JSON.parse(
      JSON.stringify({parent, autoencoder: autoencoder!.config, unet: unet!.config, scaleFactor, diffusion}),
    ),
    engine: {},
  });
  expect(await readFrozen(folder)).toEqual({parent, autoencoder, unet, scaleFactor, diffusion});
});

test('another schedule or prediction than the parent has is refused by the name of its field', async () => {
  await expect(freezeParent(image({diffusion: {prediction: 'eps'}}))).rejects.toThrow(
    'diffusion.prediction is eps, but the model of',
  );
  await expect(freezeParent(image({diffusion: {prediction: 'v', schedule: {betaEnd: 0.02}}}))).rejects.toThrow(
    'diffusion.schedule.betaEnd is 0.02',
  );
  const same = await freezeParent(image({diffusion: {prediction: 'v'}}));
  expect(same!.diffusion!.prediction).toBe('v');
});

test('a network is described once', async () => {
  const {unet: own} = microConfig('image', data, {root: data.folder}) as {unet: object};
  await expect(freezeParent(image({unet: own}))).rejects.toThrow('"unet" is given, but');
  await expect(freezeParent(image({from: path.join(imported, 'vae')}))).rejects.toThrow('"unet" is missing');
  const fresh = await freezeParent(image({from: path.join(imported, 'vae'), unet: own}));
  await expect(freezeParent(image({from: path.join(imported, 'vae'), unet: {...own, inChannels: 5}}))).rejects.toThrow(
    'unet.inChannels is 5',
  );
  expect(fresh!.unet).toBeUndefined();
  expect(fresh!.diffusion!.prediction).toBe('eps');
});

test('a parent without the network that is needed is refused', async () => {
  const config = stageSchemas.temporal.parse({
    ...microConfig('temporal', data, {root: data.folder}),
    from: path.join(imported, 'vae'),
  });
  await expect(freezeParent(config)).rejects.toThrow('needs the UNet of its parent');
  await expect(freezeParent({...config, from: data.folder})).rejects.toThrow('There is no run at');
  rmSync(path.join(imported, 'scheduler'), {recursive: true});
  await expect(freezeParent({...config, from: imported})).rejects.toThrow('has no scheduler');
});
