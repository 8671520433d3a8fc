// A run killed with SIGKILL at any moment and started again by the same command ends in the bytes of the run that nobody
// stopped; SIGTERM writes a checkpoint and exits 0.
import {once} from 'node:events';
import {cpSync, existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {engineTable} from '../../src/engine/index.ts';
import {integers, uniforms} from '../../src/random/index.ts';
import {
  command,
  finalBytes,
  type MicroData,
  type MicroStage,
  microConfig,
  microData,
  microStages,
  start,
  writeConfig,
} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
/** Which seed of kill moments; printed, so that a failure can be repeated. */
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000);
const killed: Record<string, number> = {};

/** KILLS=5 kills every stage that often; on the torch engine too, where it is set up. */
const asked = process.env.KILLS;
const torch = (await engineTable()).find(row => row.engine === 'torch');
const engines = ['wasm', 'cpu', ...(asked !== undefined && torch?.available ? (['torch'] as const) : [])] as const;

describe.each(engines)('on the %s engine', engine => {
  let data: MicroData;
  let root = '';
  const seconds = new Map<MicroStage, number>();
  const stages: readonly MicroStage[] = engine === 'cpu' ? ['autoencoder', 'image'] : microStages;

  beforeAll(async () => {
    data = await microData();
    root = path.join(data.folder, 'whole');
    for (const stage of stages) {
      const began = performance.now();
      const {status, stderr} = command(
        'train',
        writeConfig(data.folder, stage, microConfig(stage, data, {root, engine})),
      );
      expect(stderr).toBe('');
      expect(status).toBe(0);
      seconds.set(stage, (performance.now() - began) / 1000);
    }
  }, 5 * MINUTES);
  afterAll(() => data?.remove());

  const usual: Partial<Record<MicroStage, number>> =
    engine === 'wasm'
      ? {
          image: 5,
          temporal: 4,
          autoencoder: 1,
          prediction: 3,
          interpolation: 3,
          decoder: 2,
          'upsampler-image': 1,
          upsampler: 2,
        }
      : {autoencoder: 3};
  const kills = (stage: MicroStage) => Number(asked ?? usual[stage] ?? 0);
  const cases = stages.flatMap(stage =>
    Array.from({length: kills(stage)}, (_, n) => ({stage, n, during: n % 2 === 1 ? 'write' : 'anywhere'})),
  );

  test.each(cases)(
    '$stage, kill $n ($during)',
    async ({stage, n, during}) => {
      const own = path.join(data.folder, `killed-${stage}-${n}`);
      const config = microConfig(stage, data, {root: own, parents: root, engine});
      const file = writeConfig(data.folder, `killed-${stage}-${n}`, config);
      const run = path.join(own, stage);
      const [moment = 0] = uniforms({seed, stream: 'synthetic', step: n, offset: stage.length}, 1);
      const [write = 0] = integers({seed, stream: 'synthetic', step: n, offset: 100}, 1, 2);

      const child = start('train', file);
      const exited = once(child, 'exit');
      if (during === 'write') await writingCheckpoint(run, write + 1, child);
      else await sleep(1000 * (0.3 + moment * seconds.get(stage)!));
      child.kill('SIGKILL');
      const [, signal] = await exited;
      if (signal === 'SIGKILL') killed[during] = (killed[during] ?? 0) + 1;

      const {status, stderr} = command('train', file);
      expect(stderr, `KILL_SEED=${seed}`).toBe('');
      expect(status).toBe(0);
      const [one, other] = [finalBytes(run), finalBytes(path.join(root, stage))];
      for (const name of Object.keys(other)) {
        expect(one[name]!.equals(other[name]!), `${name} differs; KILL_SEED=${seed}`).toBe(true);
      }
      expect(readdirSync(path.join(run, 'checkpoints')).filter(entry => entry.startsWith('.writing'))).toEqual([]);
    },
    3 * MINUTES,
  );

  if (engine !== 'wasm') return;

  test('the kills hit running processes', () => {
    console.log(`kills that hit: ${JSON.stringify(killed)} (KILL_SEED=${seed})`);
    expect((killed.anywhere ?? 0) + (killed.write ?? 0)).toBeGreaterThanOrEqual(6);
    expect(killed.write ?? 0).toBeGreaterThan(0);
  });

  test(
    'SIGTERM finishes the step, writes a checkpoint and exits 0; the run goes on from it',
    async () => {
      const own = path.join(data.folder, 'terminated');
      const config = microConfig('image', data, {root: own, parents: root, engine, checkpointEvery: 1000});
      const file = writeConfig(data.folder, 'terminated', config);
      const child = start('train', file);
      let log = '';
      child.stdout!.on('data', (chunk: Buffer) => {
        if (log.includes('"msg":"train"')) return;
        log += chunk;
        if (log.includes('"msg":"train"')) child.kill('SIGTERM');
      });
      const [code] = await once(child, 'exit');
      expect(code).toBe(0);
      const step = Number(/step-0*(\d+)/.exec(finalBytes(path.join(own, 'image')).step!.toString())?.[1]);
      expect(step).toBeGreaterThan(0);
      expect(step).toBeLessThan(6);
      expect(command('train', file).status).toBe(0);
      const [one, other] = [finalBytes(path.join(own, 'image')), finalBytes(path.join(root, 'image'))];
      expect(one.model!.equals(other.model!)).toBe(true);
      expect(one.optimizer!.equals(other.optimizer!)).toBe(true);
    },
    3 * MINUTES,
  );

  test(
    'a flipped byte in the newest checkpoint is named, and the one before it is used',
    () => {
      const own = path.join(data.folder, 'flipped');
      cpSync(path.join(root, 'autoencoder'), path.join(own, 'autoencoder'), {recursive: true});
      const file = writeConfig(data.folder, 'flipped', microConfig('autoencoder', data, {root: own, engine}));
      const newest = path.join(
        own,
        'autoencoder',
        'checkpoints',
        finalBytes(path.join(own, 'autoencoder')).step!.toString(),
      );
      flipByte(path.join(newest, 'model.safetensors'));
      const {status, stdout} = command('train', file);
      expect(status).toBe(0);
      expect(stdout).toMatch(/checkpoint skipped/);
      expect(stdout).toContain(path.basename(newest));
      expect(
        finalBytes(path.join(own, 'autoencoder')).model!.equals(finalBytes(path.join(root, 'autoencoder')).model!),
      ).toBe(true);
    },
    2 * MINUTES,
  );
});

function flipByte(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(file, bytes);
}

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

/** Waits until the run writes its n-th checkpoint: a folder under a temporary name is there. */
async function writingCheckpoint(run: string, n: number, child: {exitCode: number | null}): Promise<void> {
  const folder = path.join(run, 'checkpoints');
  const seen = new Set<string>();
  while (child.exitCode === null) {
    if (existsSync(folder)) {
      for (const entry of readdirSync(folder)) if (entry.startsWith('.writing')) seen.add(entry);
      if (seen.size >= n) return;
    }
    await sleep(1);
  }
}
