import {spawnSync} from 'node:child_process';
import {chmod, mkdir, mkdtemp, readdir, rm, statfs, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {loadLatest, lockRun, openCheckpointer, writeCheckpoint} from '../../checkpoints/index.ts';
import {expectState, stateAt} from './states.ts';

let parent = '';
let disk = '';
const mount = async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'full-disk-'));
  disk = path.join(parent, 'disk');
  await mkdir(disk);
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status === 0;
};
const mounted = await mount();
const root = process.getuid?.() === 0;

afterAll(async () => {
  if (mounted) spawnSync('umount', [disk]);
  await rm(parent, {recursive: true});
});

describe.skipIf(!mounted)('a small disk of its own (needs the right to mount one)', () => {
  test('a disk that is really full: told in one sentence by the writing thread, nothing lost, and on it goes', async () => {
    const folder = path.join(disk, 'checkpoints');
    const checkpointer = await openCheckpointer({folder, keep: {last: 1}});
    try {
      await checkpointer.save(stateAt(1));
      await checkpointer.flush();
      const {bavail, bsize} = await statfs(disk);
      await writeFile(path.join(disk, 'other'), new Uint8Array(bavail * bsize - 10_000));
      await checkpointer.save(stateAt(2));
      await expect(checkpointer.flush()).rejects.toThrow(
        `Cannot write checkpoint step-000000002 in ${folder}: no space is left on its disk: free some and run the same command again; the checkpoint before it, step-000000001, is unharmed.`,
      );
      expect((await readdir(folder)).sort()).toEqual(['latest', 'step-000000001']);
      expectState((await loadLatest(folder))!.state, 1);
      await rm(path.join(disk, 'other'));
      await checkpointer.save(stateAt(3));
      await checkpointer.flush();
      expectState((await loadLatest(folder))!.state, 3);
    } finally {
      await checkpointer.close();
    }
  });
});

describe.skipIf(root)('permissions (needs a user that is not root)', () => {
  beforeAll(() => mkdir(path.join(parent, 'closed')));
  test('a folder that may not be written is told in one sentence', async () => {
    const closed = path.join(parent, 'closed');
    await chmod(closed, 0o555);
    await expect(lockRun(closed)).rejects.toThrow(
      /^Cannot write in the run folder [^\n]*this user may not access it\.$/,
    );
    await expect(writeCheckpoint(path.join(closed, 'checkpoints'), stateAt(1))).rejects.toThrow(
      'this user may not access it',
    );
    await chmod(closed, 0o755);
  });
});
