import {mkdtemp, readdir, readFile, rm, utimes, writeFile} from 'node:fs/promises';
import {hostname, tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {lockRun} from '../../checkpoints/index.ts';
import {UserError} from '../../src/platform/user_error.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lock-'));
});
afterEach(() => rm(folder, {recursive: true}));
const file = () => path.join(folder, 'lock');
const write = (holder: object) => writeFile(file(), `${JSON.stringify({started: '', since: 'then', ...holder})}\n`);

describe('the lock of a run folder', () => {
  test('one holder at a time; released, it is free again', async () => {
    const lock = await lockRun(folder);
    expect(lock.tookOverFrom).toBeUndefined();
    const error = await lockRun(folder).catch(caught => caught);
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toMatch(
      new RegExp(`^${folder} is in use by process ${process.pid} on [^\\n]*remove ${file()}\\.$`),
    );
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
    await (await lockRun(folder)).release();
  });

  test('of many that try at once, one gets it', async () => {
    for (const stale of [false, true]) {
      if (stale) await write({pid: 2 ** 22 + 1, host: hostname()});
      const tries = await Promise.allSettled(Array.from({length: 8}, () => lockRun(folder)));
      const won = tries.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      for (const outcome of tries) if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(UserError);
      expect(won.length).toBe(1);
      await won[0]!.release();
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test('a holder that is gone loses it', async () => {
    // Above the largest process number of Linux.
    await write({pid: 2 ** 22 + 1, host: hostname()});
    const lock = await lockRun(folder);
    expect(lock.tookOverFrom).toBe(`process ${2 ** 22 + 1} on ${hostname()}`);
    await lock.release();
  });

  test.skipIf(process.platform !== 'linux')(
    'a process number that now belongs to another process is no holder',
    async () => {
      await write({pid: process.pid, host: hostname(), started: 'another boot/123'});
      const lock = await lockRun(folder);
      expect(lock.tookOverFrom).toContain(`process ${process.pid}`);
      await lock.release();
    },
  );

  test('a holder on another machine keeps it while it renews the file', async () => {
    await write({pid: 1, host: 'another-machine'});
    await expect(lockRun(folder)).rejects.toThrow('process 1 on another-machine (since then; renewed 0 s ago)');
    const old = new Date(Date.now() - 6 * 60_000);
    await utimes(file(), old, old);
    const lock = await lockRun(folder);
    expect(lock.tookOverFrom).toBe('process 1 on another-machine');
    expect(JSON.parse(await readFile(file(), 'utf8'))).toMatchObject({pid: process.pid, host: hostname()});
    await lock.release();
  });

  test('an unreadable lock is taken over once it is old', async () => {
    await writeFile(file(), '{"pid":');
    await expect(lockRun(folder)).rejects.toThrow('is in use by another process');
    const old = new Date(Date.now() - 60_000);
    await utimes(file(), old, old);
    const lock = await lockRun(folder);
    expect(lock.tookOverFrom).toBe('an unreadable lock');
    await lock.release();
  });

  test('a folder that cannot be written is told in one sentence', async () => {
    await writeFile(path.join(folder, 'taken'), '');
    await expect(lockRun(path.join(folder, 'taken', 'run'))).rejects.toThrow(
      /^Cannot write in the run folder [^\n]*not a folder\.$/,
    );
  });
});
