// Two processes train one run: the same numbers as one with twice the micro-batches; they stop, fail and go on together.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {text as textOf} from 'node:stream/consumers';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, test, vi} from 'vitest';
import {loadLatest} from '../../checkpoints/index.ts';
import {engineTable} from '../../src/engine/index.ts';
import {freePort} from '../../trainers/ranks/launch.ts';
import {environmentOf} from '../../trainers/ranks/place.ts';
import {childrenOf} from '../helpers/child_processes.ts';
import {
  command,
  finalBytes,
  type MicroData,
  type MicroStage,
  microConfig,
  microData,
  repository,
  start,
  writeConfig,
} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const torch = (await engineTable()).find(row => row.engine === 'torch');

describe.skipIf(!torch?.available)('two ranks on the torch engine', () => {
  let data: MicroData;
  let root = '';
  /** Each micro-batch one sample, in the order of the shards: sample n is micro-batch n of the run. */
  const configOf = (stage: MicroStage, name: string, set: object = {}) => {
    const config = microConfig(stage, data, {root, name, engine: 'torch'});
    const one = {...config, data: {...(config as {data: object}).data, batchSize: 1, shuffleWindow: 1}};
    return writeConfig(data.folder, name, {...one, ...set});
  };
  const train = (file: string, ...more: string[]) => {
    const ended = command('train', file, '--log', 'json', ...more);
    expect(ended.stderr).toBe('');
    expect(ended.status, ended.stdout.slice(-2000)).toBe(0);
    return ended;
  };
  const losses = (name: string) =>
    readFileSync(path.join(root, name, 'metrics.jsonl'), 'utf8')
      .split('\n')
      .filter(line => line.includes('"kind":"train"'))
      .map(line => JSON.parse(line) as {step: number; loss: number; gradientNorm: number});
  const weightsOf = async (name: string) => (await loadLatest(path.join(root, name, 'checkpoints')))!.state;

  beforeAll(async () => {
    // Two ranks cannot share a GPU.
    vi.stubEnv('TFJS_TORCH_DEVICE', 'cpu');
    data = await microData();
    root = path.join(data.folder, 'runs');
    train(configOf('autoencoder', 'autoencoder'));
    train(configOf('image', 'image'));
  }, 3 * MINUTES);
  afterAll(() => {
    vi.unstubAllEnvs();
    data?.remove();
  });

  test.each(['temporal', 'decoder'] as const)(
    '%s: the numbers of one process with two micro-batches a step',
    async stage => {
      train(configOf(stage, `${stage}-one`, {train: {steps: 6, accumulate: 2}}));
      train(configOf(stage, `${stage}-two`), '--ranks', '2');
      const [one, two] = [losses(`${stage}-one`), losses(`${stage}-two`)];
      expect(two).toHaveLength(6);
      for (const [i, {loss, gradientNorm}] of two.entries()) {
        expect(Math.abs(loss / one[i]!.loss - 1)).toBeLessThan(1e-5);
        expect(Math.abs(gradientNorm / one[i]!.gradientNorm - 1)).toBeLessThan(1e-4);
      }
      const [expected, found] = [await weightsOf(`${stage}-one`), await weightsOf(`${stage}-two`)];
      for (const [name, {data: values}] of found.weights) {
        const difference = values.reduce(
          (most, v, i) => Math.max(most, Math.abs(v - expected.weights.get(name)!.data[i]!)),
          0,
        );
        expect(difference, name).toBeLessThan(1e-4);
      }
      expect(found.engine.worldSize).toBe(2);
      expect((found.data as {ranks: unknown[]}).ranks).toHaveLength(2);
    },
    2 * MINUTES,
  );

  const startRanks = (file: string) => {
    const launcher = start('train', file, '--log', 'json', '--ranks', '2');
    const ended = once(launcher, 'close') as Promise<[number | null]>;
    let stderr = '';
    launcher.stderr!.on('data', text => {
      stderr += text;
    });
    launcher.stdout!.resume();
    return {launcher, ended, stderr: () => stderr};
  };
  /** Long enough to be met in the middle. */
  const long = {train: {steps: 100}, checkpoint: {every: 10, keepLast: 2}, log: {every: 10}};
  const latest = (name: string) => {
    const file = path.join(root, name, 'checkpoints', 'latest');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const untilNextCheckpoint = async (name: string) => {
    for (const before = latest(name); latest(name) === before; ) await sleep(20);
  };

  test(
    'one that is killed ends both, by one sentence; the same command ends in the bytes of the run that nobody stopped',
    async () => {
      train(configOf('temporal', 'whole', long), '--ranks', '2');
      const file = configOf('temporal', 'killed', long);
      for (const victim of [1, 0]) {
        const {launcher, ended, stderr} = startRanks(file);
        await untilNextCheckpoint('killed');
        process.kill(childrenOf(launcher.pid!)[victim]!, 'SIGKILL');
        expect(await ended).toEqual([1, null]);
        expect(stderr().trim()).toBe(
          `video-ldm: Rank ${victim} of 2 was ended by SIGKILL (the system does that where memory runs out): what was written is good, and the same command goes on from it.`,
        );
      }
      train(file, '--ranks', '2');
      expect(finalBytes(path.join(root, 'killed'))).toEqual(finalBytes(path.join(root, 'whole')));
    },
    3 * MINUTES,
  );

  test.each(['launcher', 'rank 1'] as const)(
    'SIGTERM to the %s stops both after a checkpoint, exit code 0',
    async target => {
      const name = `stopped-${target === 'launcher' ? 'launcher' : 'rank'}`;
      const file = configOf('temporal', name, long);
      const {launcher, ended} = startRanks(file);
      await untilNextCheckpoint(name);
      process.kill(target === 'launcher' ? launcher.pid! : childrenOf(launcher.pid!)[1]!, 'SIGTERM');
      expect(await ended).toEqual([0, null]);
      expect(Number(latest(name).trim().replace('step-', ''))).toBeLessThan(100);
      train(file, '--ranks', '2');
      expect(finalBytes(path.join(root, name))).toEqual(finalBytes(path.join(root, 'whole')));
    },
    2 * MINUTES,
  );

  test(
    'with another number of ranks it goes on too, with the weights it had; the data begin their next epoch',
    async () => {
      const file = configOf('temporal', 'fewer', {train: {steps: 4}});
      train(file, '--ranks', '2');
      const more = train(configOf('temporal', 'fewer', {train: {steps: 6}}));
      expect(more.stdout).toContain('"step":4,"msg":"resuming"');
      expect(more.stdout).toMatch(/shards, shuffling or ranks changed\): its epoch \d begins/);
      expect((await weightsOf('fewer')).step).toBe(6);
      train(configOf('temporal', 'fewer', {train: {steps: 8}}), '--ranks', '2');
      expect(losses('fewer').map(({step}) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    },
    2 * MINUTES,
  );

  test.each([
    [
      'input',
      1,
      'Rank 1 of 2: Step 5 is not finite (loss NaN): the first bad value is in the input x of sample sample-4,',
    ],
    ['loss', 0, 'Rank 0 of 2: Step 5 is not finite (loss Infinity): the first bad value is in the loss,'],
  ])(
    'an %s that is not finite on rank %i changes the weights of none, and it says so for both',
    async (what, rank, message) => {
      const port = await freePort();
      const script = path.join(repository, 'test/helpers/small_loop_rank.ts');
      const ended = await Promise.all(
        [0, 1].map(async localRank => {
          const place = {rank: localRank, worldSize: 2, localRank, localWorldSize: 2, address: '127.0.0.1', port};
          const env = {...process.env, ...environmentOf(place), BAD_RANK: String(rank), BAD_WHAT: what};
          const child = spawn(process.execPath, ['--import', 'tsx', script], {env, cwd: repository});
          const [said] = await Promise.all([textOf(child.stdout), once(child, 'close')]);
          return JSON.parse(said) as {error?: string; state: number[][]; saved: unknown[]};
        }),
      );
      for (const {error, saved} of ended) {
        expect(error).toContain(message);
        expect(saved).toEqual([]);
      }
      expect(ended[0]!.state).toEqual(ended[1]!.state);
      expect(ended[0]!.state.flat().every(Number.isFinite)).toBe(true);
    },
    MINUTES,
  );
});
