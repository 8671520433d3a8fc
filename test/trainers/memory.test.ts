// No leak: the number of tensors is the same after step 5 and step 50, and resident memory is flat over 1,000 small steps
// with previews and checkpoints on.
import {spawn} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {
  command,
  commandLine,
  type MicroData,
  microConfig,
  microData,
  repository,
  writeConfig,
} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;

interface TrainLine {
  kind: string;
  step: number;
  tensors: number;
  residentMiB: number;
}

const trainLines = (run: string): TrainLine[] =>
  readFileSync(path.join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as TrainLine)
    .filter(({kind}) => kind === 'train');

describe('memory of a run on the wasm engine', () => {
  let data: MicroData;
  let root = '';
  beforeAll(async () => {
    data = await microData();
    root = path.join(data.folder, 'runs');
    for (const stage of ['autoencoder', 'image'] as const) {
      expect(command('train', writeConfig(data.folder, stage, microConfig(stage, data, {root, steps: 2}))).status).toBe(
        0,
      );
    }
  }, 3 * MINUTES);
  afterAll(() => data?.remove());

  test(
    'tensors after step 5 are tensors after step 50 (temporal stage)',
    () => {
      const file = writeConfig(
        data.folder,
        'temporal',
        microConfig('temporal', data, {root, steps: 50, checkpointEvery: 10}),
      );
      expect(command('train', file, '--set', 'heldOut.every=20').status).toBe(0);
      const lines = trainLines(path.join(root, 'temporal'));
      const at = (step: number) => lines.find(line => line.step === step)?.tensors;
      expect(at(5)).toBeGreaterThan(100);
      expect(at(50)).toBe(at(5));
    },
    3 * MINUTES,
  );

  test(
    'resident memory is flat over 1,000 steps with previews and checkpoints',
    async () => {
      const config = {
        ...microConfig('image', data, {root, name: 'long', steps: 1000, checkpointEvery: 100}),
        preview: {every: 250, clips: 1, samplerSteps: 2},
      };
      const file = writeConfig(data.folder, 'long', config);
      // A JavaScript heap of 64 MiB, so that what grows is held and not merely not yet collected.
      const child = spawn(
        process.execPath,
        ['--max-old-space-size=64', commandLine, 'train', file, '--set', 'log.every=10', '--set', 'heldOut.every=500'],
        {stdio: ['ignore', 'pipe', 'inherit'], cwd: repository},
      );
      child.stdout.resume();
      const code = await new Promise(resolve => child.once('exit', resolve));
      expect(code).toBe(0);
      expect(readdirSync(path.join(root, 'long', 'previews'))).toHaveLength(4);
      const lines = trainLines(path.join(root, 'long'));
      const mean = (from: number, to: number) => {
        const some = lines.filter(({step}) => step > from && step <= to).map(line => line.residentMiB);
        return some.reduce((a, b) => a + b, 0) / some.length;
      };
      const [early, late] = [mean(300, 400), mean(900, 1000)];
      console.log(`resident MiB: ${early.toFixed(0)} at steps 300-400, ${late.toFixed(0)} at steps 900-1000`);
      expect(late).toBeLessThan(1.05 * early + 5);
      expect(new Set(lines.filter(({step}) => step >= 10).map(line => line.tensors)).size).toBe(1);
    },
    8 * MINUTES,
  );
});
