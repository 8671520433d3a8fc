// --resume PATH: another run's checkpoint, moved with what it froze; changes logged or refused; the best checkpoints kept.
import {cpSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {listCheckpoints} from '../../checkpoints/index.ts';
import {command, finalBytes, type MicroData, microConfig, microData, writeConfig} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
let data: MicroData;
let root = '';
let configs = '';
const train = (...args: string[]) => command('train', ...args);

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  configs = data.folder;
  for (const stage of ['autoencoder', 'image'] as const) {
    const {status, stderr} = train(writeConfig(configs, stage, microConfig(stage, data, {root, checkpointEvery: 2})));
    expect(stderr).toBe('');
    expect(status).toBe(0);
  }
}, 2 * MINUTES);
afterAll(() => data?.remove());

test(
  'a run goes on in another folder, on another machine without its parent, and ends in the same bytes',
  () => {
    const moved = path.join(data.folder, 'moved');
    cpSync(path.join(root, 'image'), moved, {recursive: true});
    // What is there of the other machine: the run folder, cut back to an earlier checkpoint.
    const earlier = path.join(moved, 'checkpoints', 'step-000000004');
    rmSync(path.join(moved, 'checkpoints', 'step-000000006'), {recursive: true});
    const own = path.join(data.folder, 'elsewhere');
    const config = microConfig('image', data, {root: own, parents: root});
    const file = writeConfig(configs, 'elsewhere', config);
    const {status, stdout, stderr} = train(file, '--resume', earlier, '--set', 'data.workers=2');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain('data.workers: 1 -> 2');
    const [one, other] = [finalBytes(path.join(own, 'image')), finalBytes(path.join(root, 'image'))];
    for (const name of Object.keys(other)) expect(one[name]!.equals(other[name]!), name).toBe(true);
    // The folder of a run will do as well.
    const folder = path.join(data.folder, 'by-folder');
    const again = writeConfig(configs, 'by-folder', microConfig('image', data, {root: folder, parents: root}));
    expect(train(again, '--resume', moved).status).toBe(0);
    expect(finalBytes(path.join(folder, 'image')).model!.equals(other.model!)).toBe(true);
  },
  2 * MINUTES,
);

test(
  'what may not change is refused by its field, what may is logged',
  () => {
    const file = path.join(configs, 'image.yaml');
    const refused = train(file, '--set', 'diffusion.prediction=v', '--set', 'run.seed=6');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(
      /cannot be resumed with another run\.seed: 5 -> 6 .*diffusion\.prediction: .* -> "v"/,
    );
    const allowed = train(
      file,
      '--set',
      'train.steps=7',
      '--set',
      'data.batchSize=1',
      '--set',
      'optimizer.learningRate=1e-4',
    );
    expect(allowed.stderr).toBe('');
    for (const change of ['train.steps: 6 -> 7', 'data.batchSize: 2 -> 1', 'optimizer.learningRate: 0.002 -> 0.0001'])
      expect(allowed.stdout).toContain(change);
  },
  2 * MINUTES,
);

test(
  'the best by a held-out figure stays beside the last',
  async () => {
    const own = path.join(data.folder, 'best');
    const file = writeConfig(
      configs,
      'best',
      microConfig('autoencoder', data, {root: own, checkpointEvery: 1, steps: 5}),
    );
    const stale = train(file, '--set', 'checkpoint.keepBest={metric: mse}');
    expect(stale.stderr).toContain('no multiple of heldOut.every 5');
    const wanted = ['--set', 'heldOut.every=1', '--set', 'checkpoint.keepLast=1'];
    const unknown = train(file, ...wanted, '--set', 'checkpoint.keepBest={metric: fvd}');
    expect(unknown.stderr).toMatch(/keepBest\.metric is "fvd", but the held-out figures of this stage are loss, mse/);
    // The largest error is that of the first step.
    const {status, stderr} = train(file, ...wanted, '--set', 'checkpoint.keepBest={metric: mse, mode: max}');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const folder = path.join(own, 'autoencoder', 'checkpoints');
    const steps = (await listCheckpoints(folder)).map(({step}) => step);
    const figures = readFileSync(path.join(own, 'autoencoder', 'metrics.jsonl'), 'utf8')
      .split('\n')
      .filter(line => line.includes('"heldOut"'))
      .map(line => JSON.parse(line) as {step: number; mse: number});
    const worst = figures.filter(({step}) => step > 0).sort((a, b) => b.mse - a.mse)[0]!;
    expect(steps).toEqual([...new Set([5, worst.step])]);
    expect(readdirSync(folder)).toContain('latest');
  },
  2 * MINUTES,
);
