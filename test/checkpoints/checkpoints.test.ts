import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import type {CheckpointFs} from '../../checkpoints/fs.ts';
import {
  type KeepRules,
  listCheckpoints,
  loadCheckpoint,
  loadLatest,
  prune,
  readLatest,
  removeUnfinished,
  verifyCheckpoint,
  writeCheckpoint,
} from '../../checkpoints/index.ts';
import {decodeStateRecord, encodeStateRecord, type Migrations} from '../../checkpoints/state_json.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {f32} from '../../src/weights/host_tensor.ts';
import {withSafetensors} from '../../src/weights/safetensors.ts';
import {expectState, stateAt} from './states.ts';

let folder = '';
beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'checkpoints-')), 'run');
});
afterEach(() => rm(path.dirname(folder), {recursive: true}));

const at = (...parts: string[]) => path.join(folder, ...parts);
const failure = async (action: () => Promise<unknown>): Promise<UserError> => {
  const error = await action().then(
    () => undefined,
    caught => caught,
  );
  expect(error).toBeInstanceOf(UserError);
  expect(error.message).toMatch(/^[^\n]+\.$/);
  return error;
};
const flip = async (file: string, position: number) => {
  const bytes = await readFile(file);
  bytes[position % bytes.length]! ^= 1;
  await writeFile(file, bytes);
};

describe('write and load', () => {
  test('everything comes back; files are what other tools read', async () => {
    const written = await writeCheckpoint(folder, stateAt(7));
    expect(written).toMatchObject({name: 'step-000000007', step: 7, path: at('step-000000007')});
    expect((await readdir(written.path)).sort()).toEqual([
      'discriminator.safetensors',
      'ema.safetensors',
      'model.safetensors',
      'optimizer.safetensors',
      'state.json',
    ]);
    expect((await readdir(folder)).sort()).toEqual(['latest', 'step-000000007']);
    expectState(await loadCheckpoint(written.path), 7);
    const latest = await loadLatest(folder);
    expectState(latest?.state, 7);
    expect(latest).toMatchObject({name: 'step-000000007', skipped: []});
    await withSafetensors(path.join(written.path, 'model.safetensors'), async file => {
      expect(file.metadata.format).toBe('pt');
      expect(file.tensors.get('conv_in.weight')!.shape).toEqual([8, 4, 3, 3]);
      expect(file.tensors.get('proj.weight')!.shape).toEqual([6, 8]);
      expect(file.tensors.get('text.weight')!.shape).toEqual([5, 8]);
      expect(file.tensors.get('temporal.weight')!.shape).toEqual([8, 8, 3, 1, 1]);
      const here = stateAt(7).weights.get('conv_in.weight')!.data;
      // [kh,kw,in,out] -> [out,in,kh,kw]
      expect(f32(await file.read('conv_in.weight'))[((5 * 4 + 2) * 3 + 1) * 3 + 2]).toBe(
        here[((1 * 3 + 2) * 4 + 2) * 8 + 5],
      );
    });
  });

  test('split files, a state without EMA or companions, and parts alone', async () => {
    const {ema: _, companions: __, ...plain} = stateAt(3);
    const split = await writeCheckpoint(folder, {...plain, optimizers: {}}, {maxShardBytes: 600});
    expect(await readdir(split.path)).toContain('model.safetensors.index.json');
    const back = await loadCheckpoint(split.path);
    expect(back.ema).toBeUndefined();
    expect(back.companions).toBeUndefined();
    expect(back.optimizers).toEqual({});
    expect(new Map([...back.weights].sort())).toEqual(new Map([...stateAt(3).weights].sort()));
    const whole = await writeCheckpoint(folder, stateAt(4));
    const part = await loadCheckpoint(whole.path, {parts: ['ema']});
    expect(part.weights.size).toBe(0);
    expect(part.optimizers).toEqual({});
    expect(new Map([...part.ema!].sort())).toEqual(new Map([...stateAt(4).ema!].sort()));
  });

  test('a second checkpoint of a step stands beside the first', async () => {
    await writeCheckpoint(folder, stateAt(5));
    const second = await writeCheckpoint(folder, {...stateAt(5), data: 'again'});
    expect(second.name).toBe('step-000000005-2');
    expect((await loadLatest(folder))!.state.data).toBe('again');
    expect((await listCheckpoints(folder)).map(info => info.name)).toEqual(['step-000000005-2', 'step-000000005']);
  });

  test('names that cannot be files and shapes that do not fit are programming errors', async () => {
    const bad = {...stateAt(1), companions: {'../x': new Map()}};
    await expect(writeCheckpoint(folder, bad)).rejects.toThrow('companion name "../x"');
    await expect(writeCheckpoint(folder, {...stateAt(1), companions: {model: new Map()}})).rejects.toThrow('is taken');
    const short = {shape: [3], layout: 'vector', data: new Float32Array(2)} as const;
    await expect(writeCheckpoint(folder, {...stateAt(1), weights: new Map([['w', short]])})).rejects.toThrow(
      'needs 3 values',
    );
    expect(await readdir(folder)).toEqual([]);
  });

  test('an empty or missing folder has no checkpoint', async () => {
    expect(await loadLatest(folder)).toBeUndefined();
    expect(await listCheckpoints(folder)).toEqual([]);
  });
});

describe('damage is named, and the one before is used', () => {
  beforeEach(async () => {
    for (const step of [10, 20, 30]) await writeCheckpoint(folder, stateAt(step));
  });
  const files = [
    'model.safetensors',
    'ema.safetensors',
    'optimizer.safetensors',
    'discriminator.safetensors',
    'state.json',
  ];

  test.each(files)('a flipped byte anywhere in %s', async file => {
    const {size} = await stat(at('step-000000030', file));
    for (const position of [0, 9, 200, Math.floor(size / 2), size - 3, size - 1]) {
      await flip(at('step-000000030', file), position);
      const latest = await loadLatest(folder);
      expectState(latest?.state, 20);
      expect(latest!.skipped).toEqual([{name: 'step-000000030', reason: expect.stringContaining(file)}]);
      await failure(() => loadCheckpoint(at('step-000000030')));
      await flip(at('step-000000030', file), position);
    }
    expectState((await loadLatest(folder))!.state, 30);
  });

  test.each(files)('%s cut short, grown, or missing', async file => {
    const name = at('step-000000030', file);
    const keep = `${name}.keep`;
    await copyFile(name, keep);
    const {size} = await stat(name);
    const damages: [() => Promise<void>, string][] = [
      [() => truncate(name, size - 1), 'torn'],
      [() => truncate(name, 0), 'torn'],
      [async () => writeFile(name, Buffer.concat([await readFile(keep), Buffer.from(' ')])), 'torn'],
      [() => rm(name), 'there is no such file'],
    ];
    for (const [damage, reason] of damages) {
      await damage();
      const latest = await loadLatest(folder);
      expectState(latest?.state, 20);
      expect(latest!.skipped[0]!.reason).toContain(reason);
      const listed = await listCheckpoints(folder);
      expect(listed[0]).toMatchObject({name: 'step-000000030', problem: expect.stringContaining(file), latest: true});
      await copyFile(keep, name);
    }
    await verifyCheckpoint(at('step-000000030'));
  });

  test('several damaged in a row; then all', async () => {
    await flip(at('step-000000030', 'model.safetensors'), 999);
    await rm(at('step-000000020', 'state.json'));
    const latest = await loadLatest(folder);
    expectState(latest?.state, 10);
    expect(latest!.skipped.map(({name}) => name)).toEqual(['step-000000030', 'step-000000020']);
    await flip(at('step-000000010', 'ema.safetensors'), 999);
    const error = await failure(() => loadLatest(folder));
    expect(error.message).toContain('None of the 3 checkpoints');
    expect(error.message).toContain('step-000000030');
  });

  test('latest pointing nowhere, to nonsense, or missing', async () => {
    await writeFile(at('latest'), 'step-000000040\n');
    const latest = await loadLatest(folder);
    expectState(latest?.state, 30);
    expect(latest!.skipped).toEqual([{name: 'step-000000040', reason: expect.stringContaining('no such file')}]);
    await writeFile(at('latest'), '../../etc');
    expectState((await loadLatest(folder))!.state, 30);
    await rm(at('latest'));
    expectState((await loadLatest(folder))!.state, 30);
  });

  test('a run put back to an earlier checkpoint goes on from there, not from what is newer', async () => {
    await writeFile(at('latest'), 'step-000000020\n');
    expectState((await loadLatest(folder))!.state, 20);
    await flip(at('step-000000020', 'model.safetensors'), 999);
    expectState((await loadLatest(folder))!.state, 10);
  });
});

describe('a write that fails leaves what was there', () => {
  /** A disk that is full after `room` bytes. */
  const fullAfter = (room: number, code = 'ENOSPC'): CheckpointFs => {
    let left = room;
    return {
      open: async (file, flags) => {
        const handle = await open(file, flags);
        return {
          write: async (data: Uint8Array) => {
            const part = Math.min(left, data.length);
            left -= part;
            if (part === 0) throw Object.assign(new Error(`${code}: cannot write`), {code});
            return handle.write(data.subarray(0, part));
          },
          sync: () => handle.sync(),
          close: () => handle.close(),
        } as Awaited<ReturnType<CheckpointFs['open']>>;
      },
      rename,
      rm,
      mkdir,
    };
  };

  test('a disk that fills up after any number of bytes', async () => {
    const first = await failure(() => writeCheckpoint(folder, stateAt(1), {}, fullAfter(100)));
    expect(first.message).toContain('there is no checkpoint yet');
    const {bytes} = await writeCheckpoint(folder, stateAt(1));
    for (let i = 0; i <= 12; i++) {
      const error = await failure(() =>
        writeCheckpoint(folder, stateAt(2), {}, fullAfter(Math.floor((bytes * i) / 12))),
      );
      expect(error.message).toBe(
        `Cannot write checkpoint step-000000002 in ${folder}: no space is left on its disk: free some and run the same command again; the checkpoint before it, step-000000001, is unharmed.`,
      );
      expect((await readdir(folder)).sort()).toEqual(['latest', 'step-000000001']);
      expectState((await loadLatest(folder))!.state, 1);
    }
    await writeCheckpoint(folder, stateAt(2));
    expectState((await loadLatest(folder))!.state, 2);
  });

  test.each([
    ['EDQUOT', 'disk quota'],
    ['EIO', 'the disk failed'],
    ['EROFS', 'read-only'],
    ['EFBIG', 'larger than'],
  ])('%s is one sentence', async (code, meaning) => {
    const error = await failure(() => writeCheckpoint(folder, stateAt(2), {}, fullAfter(500, code)));
    expect(error.message).toContain(meaning);
  });

  test('a file where the folder should be, and a folder where a file should be', async () => {
    await writeFile(`${path.dirname(folder)}/file`, '');
    const error = await failure(() => writeCheckpoint(`${path.dirname(folder)}/file/checkpoints`, stateAt(1)));
    expect(error.message).toContain('is a file, not a folder');
    await writeCheckpoint(folder, stateAt(1));
    await rm(at('latest'));
    await mkdir(at('latest'));
    await writeFile(at('latest', 'x'), '');
    await failure(() => writeCheckpoint(folder, stateAt(2)));
  });

  test('bytes that change between writing and reading back are noticed', async () => {
    await writeCheckpoint(folder, stateAt(1));
    const lying: CheckpointFs = {
      ...fullAfter(Number.POSITIVE_INFINITY),
      open: async (file, flags) => {
        const handle = await open(file, flags);
        return {
          write: (data: Uint8Array) => {
            const copy = data.slice();
            if (file.includes('ema') && copy.length > 300) copy[300]! ^= 4;
            return handle.write(copy);
          },
          sync: () => handle.sync(),
          close: () => handle.close(),
        } as Awaited<ReturnType<CheckpointFs['open']>>;
      },
    };
    const error = await failure(() => writeCheckpoint(folder, stateAt(2), {}, lying));
    expect(error.message).toContain('ema.safetensors was altered');
    expectState((await loadLatest(folder))!.state, 1);
  });

  test('what a killed process left unfinished is cleared, and nothing else', async () => {
    await writeCheckpoint(folder, stateAt(1));
    await mkdir(at('.writing-step-000000002'));
    await writeFile(at('.writing-step-000000002', 'model.safetensors'), 'half');
    await mkdir(at('.removing-step-000000000'));
    await writeFile(at('notes.txt'), 'mine');
    await removeUnfinished(folder);
    expect((await readdir(folder)).sort()).toEqual(['latest', 'notes.txt', 'step-000000001']);
  });
});

describe('format versions', () => {
  const record = async () => {
    await writeCheckpoint(folder, stateAt(1));
    return decodeStateRecord(await readFile(at('step-000000001', 'state.json'), 'utf8'), 'state.json');
  };
  test('a newer one is refused with the way out', async () => {
    const text = encodeStateRecord({...(await record()), formatVersion: 2});
    await writeFile(at('step-000000001', 'state.json'), text);
    const error = await failure(() => loadCheckpoint(at('step-000000001')));
    expect(error.message).toContain(
      'has format version 2, this video-ldm reads up to 1: use the video-ldm that wrote it',
    );
  });
  test('an older one is migrated, or refused with the way out', async () => {
    const old = encodeStateRecord({...(await record()), formatVersion: 0, stage: 'decode'});
    expect(() => decodeStateRecord(old, 'state.json')).toThrow('resume it once with an older video-ldm');
    const migrations: Migrations = {0: json => ({...json, stage: `${String(json.stage)}r`})};
    expect(decodeStateRecord(old, 'state.json', migrations)).toMatchObject({formatVersion: 1, stage: 'decoder'});
  });
  test('fields that cannot be right are refused by name', async () => {
    const good = await record();
    for (const [field, change] of [
      ['step', {step: -1}],
      ['files.../x', {files: {'../x': {bytes: 1, sha256: ''}}}],
    ] as const) {
      expect(() => decodeStateRecord(encodeStateRecord({...good, ...change}), 'state.json')).toThrow(
        `no usable "${field}"`,
      );
    }
  });
});

describe('prune', () => {
  const names = async () => (await listCheckpoints(folder)).map(info => info.step).reverse();
  const write = async (steps: number[], keep?: KeepRules) => {
    for (const step of steps) {
      const {name} = await writeCheckpoint(folder, {...stateAt(step), metrics: {loss: Math.abs(step - 33)}});
      if (keep) await prune(folder, keep, name);
    }
  };
  test('keeps the last, every so many steps, and the best', async () => {
    await write([10, 20, 30, 40, 50, 60], {last: 2, every: 30, best: {metric: 'loss', mode: 'min', count: 1}});
    expect(await names()).toEqual([30, 50, 60]);
    await write([70], {last: 1, best: {metric: 'loss', mode: 'max', count: 2}});
    expect(await names()).toEqual([60, 70]);
    await write([80], {last: 1, best: {metric: 'nowhere', mode: 'max', count: 2}});
    expect(await names()).toEqual([80]);
    expect(await readLatest(folder)).toBe('step-000000080');
  });
  test('a damaged one does not count as kept, and goes once a good one is ahead', async () => {
    await write([10, 20, 30]);
    await truncate(at('step-000000030', 'model.safetensors'), 10);
    expect(await prune(folder, {last: 1})).toEqual(['step-000000010']);
    expect(await names()).toEqual([20, 30]);
    await write([40], {last: 1});
    expect(await names()).toEqual([40]);
  });
  test('never removes the only good one', async () => {
    await write([10, 20]);
    await flip(at('step-000000020', 'model.safetensors'), 999);
    const error = await failure(() => prune(folder, {last: 1}));
    expect(error.message).toContain('so none was removed');
    expect(await names()).toEqual([10, 20]);
    await expect(prune(folder, {last: 0})).rejects.toThrow('last = 0');
  });
  test('after a run was put back, the newest by time stay', async () => {
    await write([10, 20, 30]);
    await writeFile(at('latest'), 'step-000000010\n');
    await write([15], {last: 2});
    expect(await names()).toEqual([15, 30]);
  });
});
