import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {listCheckpoints, loadLatest, lockRun} from '../../checkpoints/index.ts';
import {normals, uniforms} from '../../src/random/index.ts';

// The child runs compiled JavaScript: `npm test` builds first.
const compiled = (relative: string) => new URL(`../../dist/${relative}`, import.meta.url).href;
const child = fileURLToPath(new URL('child.mjs', import.meta.url));

let parent = '';
beforeAll(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'kill-'));
});
afterAll(() => rm(parent, {recursive: true}));

/** Starts the child, kills it `afterMs` after it said `word`; what it said. */
async function runAndKill(
  run: string,
  mode: string,
  word: 'start' | 'saved',
  afterMs: number,
): Promise<{start: number; saved: number}> {
  const args = [child, compiled('checkpoints/index.js'), compiled('src/random/index.js'), run, mode];
  const process = spawn(globalThis.process.execPath, args, {stdio: ['ignore', 'pipe', 'pipe']});
  let out = '';
  let errors = '';
  process.stdout.on('data', data => {
    out += data;
  });
  process.stderr.on('data', data => {
    errors += data;
  });
  const closed = once(process, 'close');
  while (!out.includes(word) && process.exitCode === null) await sleep(2);
  await sleep(afterMs);
  process.kill('SIGKILL');
  await closed;
  expect(errors).toBe('');
  const numbers = (word: string) =>
    [...out.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map(found => Number(found[1]));
  return {start: numbers('start')[0]!, saved: Math.max(0, ...numbers('saved'))};
}

describe('killed while it writes', () => {
  // Every kill falls into a write, since the child does nothing else; the moments are spread over several of them.
  test.each([
    ['direct', 12],
    ['thread', 8],
  ])('%s: after each of %i kills everything acknowledged is there, whole', async (mode, kills) => {
    const run = path.join(parent, mode);
    const moments = uniforms({seed: 4, stream: 'synthetic', step: kills}, kills);
    let best = 0;
    for (let kill = 0; kill < kills; kill++) {
      const {start, saved} = await runAndKill(run, mode, kill % 3 === 0 ? 'start' : 'saved', moments[kill]! * 60);
      expect(start).toBe(best);
      const latest = await loadLatest(path.join(run, 'checkpoints'));
      const step = latest?.state.step ?? 0;
      // Nothing torn was seen, and nothing acknowledged is lost.
      expect(latest?.skipped ?? []).toEqual([]);
      expect(step).toBeGreaterThanOrEqual(Math.max(saved, start));
      if (latest) {
        const {state} = latest;
        expect(state.weights.get('a.weight')!.data).toEqual(normals({seed: 1, stream: 1, step}, 8192));
        expect(state.optimizers.main!.get('m.b.bias')!.data).toEqual(normals({seed: 1, stream: 4, step}, 10));
        expect(state.data).toBe(step);
      }
      best = step;
    }
    expect(best).toBeGreaterThan(0);
    for (const info of await listCheckpoints(path.join(run, 'checkpoints'))) expect(info.problem).toBeUndefined();
    // The last child's lock is stale and is taken over.
    const lock = await lockRun(run);
    expect(lock.tookOverFrom).toContain('process');
    await lock.release();
  });
});
