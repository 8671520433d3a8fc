// train --dry-run: what a run would start with, from parents that are there, planned or assumed; nothing is trained.
import {existsSync, mkdirSync, readdirSync} from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {loadLatest} from '../../checkpoints/index.ts';
import {loadConfig} from '../../src/config/load.ts';
import {planParent} from '../../trainers/parents/planned_parent.ts';
import {plannedNetworks, stateBytes} from '../../trainers/reports/dry_run.ts';
import {command, type MicroData, microConfig, microData, writeConfig} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const stages = ['autoencoder', 'image', 'temporal'] as const;
let data: MicroData;
let configs = '';
let root = '';
const fileOf = (stage: (typeof stages)[number]) => path.join(configs, `${stage}.yaml`);

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  configs = path.join(data.folder, 'configs');
  mkdirSync(configs);
  for (const stage of stages) writeConfig(configs, stage, microConfig(stage, data, {root, steps: 1}));
}, MINUTES);
afterAll(() => data?.remove());

test('parents that are only planned: the whole chain from its configurations, without opening a shard', () => {
  const {status, stdout, stderr} = command('train', fileOf('temporal'), '--dry-run', '--no-data');
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toContain(`${path.join(root, 'image')}, not trained yet, as ${fileOf('image')} describes it`);
  expect(stdout).toMatch(/learningRate: 0.002/);
  expect(stdout).toMatch(/unet +[\d,]+ +[\d,]+ +\d+\nautoencoder +[\d,]+ +0 +0\n/);
  expect(existsSync(root)).toBe(false);
});

test(
  'the first batch as a contact sheet; what is planned is what then trains',
  async () => {
    const file = fileOf('autoencoder');
    const dry = command('train', file, '--dry-run');
    expect(dry.status, dry.stderr).toBe(0);
    const sheet = /contact sheet: (\S+)/.exec(dry.stdout)?.[1];
    const {width = 0, height = 0} = await sharp(sheet).metadata();
    expect(Math.min(width, height)).toBeGreaterThanOrEqual(16);
    expect(readdirSync(path.join(root, 'autoencoder'))).toEqual(['first-batch.png']);

    expect(command('train', file).status).toBe(0);
    const {weights} = (await loadLatest(path.join(root, 'autoencoder', 'checkpoints')))!.state;
    const config = loadConfig(file);
    const [own] = plannedNetworks(config, (await planParent(config, {configs})).frozen ?? {});
    expect(own).toMatchObject({
      trained: [...weights.values()].reduce((sum, {data: values}) => sum + values.length, 0),
      trainedTensors: weights.size,
    });
    const image = command('train', fileOf('image'), '--dry-run', '--no-data');
    expect(image.stdout).toContain(`== Parent\n${path.join(root, 'autoencoder')}\n`);
  },
  2 * MINUTES,
);

test('a published model that is not imported yet: the paper counts 656M temporal parameters on SD 2.x, 649M on SD 1.x', async () => {
  const config = loadConfig(fileOf('temporal'), ['from=models/sd']);
  for (const [assume, millions] of [
    ['sd2', 656],
    ['sd1', 649],
  ] as const) {
    const {frozen} = await planParent(config, {configs, assume});
    const networks = plannedNetworks(config, frozen ?? {});
    expect(Math.floor(networks[0]!.trained / 1e6)).toBe(millions);
    expect(networks.map(({name}) => name)).toEqual(['unet', 'autoencoder', 'conditions']);
    const bytes = stateBytes(networks);
    expect(bytes.gradients).toBe(4 * networks[0]!.trained);
  }
});

test('an unknown parent is refused by name, and so is one that the stage cannot start from', () => {
  const nowhere = command('train', fileOf('temporal'), '--dry-run', '--set', 'from=nowhere');
  expect(nowhere.status).toBe(1);
  expect(nowhere.stderr).toMatch(/^video-ldm: from: there is nothing at nowhere, and no configuration in .* makes it/);
  const wrong = command('train', fileOf('temporal'), '--dry-run', '--set', `from=${path.join(root, 'autoencoder')}`);
  expect(wrong.stderr).toMatch(/starts from a run of stage "image"/);
});
