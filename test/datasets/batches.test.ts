// Batches over real shards: the order is a function of seed and position alone, and resumes exactly.
import {rmSync} from 'node:fs';
import path from 'node:path';
import {beforeAll, describe, expect, test} from 'vitest';
import {batches, type DataConfig, heldOutClips, shardFolder, type VideoBatch} from '../../datasets/index.ts';
import {clip, have, scratch} from './fixtures.ts';

const base = {frames: 4, fps: 8, width: 32, height: 32, batchSize: 3};

async function take(config: DataConfig, count: number, options: Partial<Parameters<typeof batches>[1]> = {}) {
  const taken: VideoBatch[] = [];
  for await (const batch of batches(config, {seed: 7, ...options})) {
    taken.push(batch);
    if (taken.length === count) break;
  }
  return taken;
}

const content = (batch: VideoBatch | undefined) =>
  batch && {keys: batch.keys, sum: Buffer.from(batch.frames).toString('base64')};

describe.skipIf(!have['node-av'])('batches of mp4 clips (skipped where node-av is not installed)', () => {
  let config: DataConfig;
  const total = 10;

  beforeAll(async () => {
    const output = path.join(scratch(), 'shards');
    const report = await shardFolder({
      input: [clip('cap13_edit2.mp4')],
      output,
      frames: 8,
      fps: 8,
      width: 32,
      height: 32,
      maxClipsPerVideo: total,
      clipsPerShard: 4,
    });
    expect(report.clips.train).toBe(total);
    config = {...base, shards: path.join(output, 'train-{000000..000002}.tar')};
  });

  test('have the shape, the keys and the rate that they say', async () => {
    const [batch] = await take(config, 1);
    expect(batch?.shape).toEqual([3, 4, 32, 32, 3]);
    expect(batch?.frames.byteLength).toBe(3 * 4 * 32 * 32 * 3);
    expect(new Set(batch?.keys).size).toBe(3);
    expect(batch?.captions).toEqual([undefined, undefined, undefined]);
    expect(batch?.fps).toEqual([8, 8, 8]);
    expect(batch?.waitedMs).toBeGreaterThanOrEqual(0);
    const mean = batch!.frames.reduce((sum, value) => sum + value, 0) / batch!.frames.length;
    expect(mean).toBeGreaterThan(20);
    expect(mean).toBeLessThan(235);
  });

  test('are the same for any number of threads and any read-ahead', async () => {
    const one = await take({...config, decoders: 1, prefetch: 0}, 6);
    for (const decoders of [2, 4]) {
      const many = await take({...config, decoders, prefetch: 3}, 6);
      expect(many.map(content)).toEqual(one.map(content));
      expect(many.map(batch => batch.position)).toEqual(one.map(batch => batch.position));
    }
  });

  test('go through every clip once an epoch, in another order and with other starts the next time', async () => {
    const keys = (await take({...config, batchSize: total}, 2)).map(batch => batch.keys);
    expect([...keys[0]!].sort()).toEqual([...keys[1]!].sort());
    expect(new Set(keys[0]).size).toBe(total);
    expect(keys[0]).not.toEqual(keys[1]);
    const other = await take({...config, batchSize: total}, 1, {seed: 8});
    expect(other[0]?.keys).not.toEqual(keys[0]);
  });

  test.each([1, 2, 4])('resumed at every position with %d threads, the rest is the same', async decoders => {
    const once = {...config, batchSize: 1, repeat: false, decoders};
    const whole = await take(once, 100);
    expect(whole).toHaveLength(total);
    for (const [n, {position}] of whole.entries()) {
      const rest = await take(once, 100, {resume: JSON.parse(JSON.stringify(position))});
      expect(rest.map(content)).toEqual(whole.slice(n + 1).map(content));
    }
  });

  test('resume over the end of an epoch', async () => {
    const all = await take(config, 8);
    for (const n of [2, 3, 5]) {
      const rest = await take(config, 8 - n - 1, {resume: all[n]!.position});
      expect(rest.map(content)).toEqual(all.slice(n + 1).map(content));
    }
  });

  test.each([1, 2, 4])(
    'of 4 ranks share an epoch without overlap, resumed at every position, %d threads',
    async decoders => {
      const once = {...config, batchSize: 1, repeat: false, decoders};
      const keys: string[] = [];
      for (const rank of [0, 1, 2, 3]) {
        const own = await take(once, 100, {rank, worldSize: 4});
        for (const [n, {position}] of own.entries()) {
          const rest = await take(once, 100, {rank, worldSize: 4, resume: JSON.parse(JSON.stringify(position))});
          expect(rest.map(content)).toEqual(own.slice(n + 1).map(content));
        }
        keys.push(...own.flatMap(batch => batch.keys));
      }
      expect(keys).toHaveLength(total);
      expect(new Set(keys).size).toBe(total);
    },
  );

  test('a last, smaller batch ends an epoch that is not repeated', async () => {
    const sizes = (await take({...config, repeat: false}, 100)).map(batch => [
      batch.shape[0],
      batch.frames.byteLength / 12_288,
    ]);
    expect(sizes).toEqual([
      [3, 3],
      [3, 3],
      [3, 3],
      [1, 1],
    ]);
  });

  test('held-out clips are the same on every call and no batch of training touches them', async () => {
    const [a, b] = [await heldOutClips(config, 4), await heldOutClips({...config, decoders: 2}, 4)];
    expect(new Set(a.flatMap(({keys}) => keys)).size).toBe(4);
    expect(b).toEqual(a);
    expect(a.map(({shape}) => shape)).toEqual(Array(4).fill([1, 4, 32, 32, 3]));
    await expect(heldOutClips(config, 11)).rejects.toThrow(/11 held-out clips were asked for but .* has 10/);
  });

  test('mirrored and moved crops come with the seed', async () => {
    const plain = await take(config, 2);
    const moved = await take({...config, flip: true, crop: 'random'}, 2);
    expect(moved.map(batch => batch.keys)).toEqual(plain.map(batch => batch.keys));
    expect(moved.map(content)).not.toEqual(plain.map(content));
    expect((await take({...config, flip: true, crop: 'random'}, 2)).map(content)).toEqual(moved.map(content));
  });

  test('mistakes are one sentence that names them', async () => {
    const first = (changed: Partial<DataConfig>, options = {}) => take({...config, ...changed}, 1, options);
    await expect(first({shards: path.join(scratch(), 'nothing-000000.tar')})).rejects.toThrow(/nothing-000000\.tar/);
    await expect(first({batchSize: 0})).rejects.toThrow(/"batchSize" must be a whole number from 1, found 0/);
    await expect(first({fps: -1})).rejects.toThrow(/"fps" must be above 0/);
    await expect(first({}, {resume: {draws: -1}})).rejects.toThrow(/data position .* is not one that a batch carried/);
    await expect(first({}, {rank: 2, worldSize: 2})).rejects.toThrow(/"rank" must be from 0 to 1, found 2/);
    await expect(first({frames: 100, fps: 8})).rejects.toThrow(
      /Sample cap13_edit2-\w+-\d+ of shard .*: The video lasts 1\.000 s/,
    );
    await expect(first({frames: 100, fps: 8, onBadSample: 'skip'})).rejects.toThrow(/None of the 10 samples/);
  });

  test('a shard that vanishes stops the run with its name', async () => {
    const output = path.join(scratch(), 'gone');
    await shardFolder({input: [clip('cap13_edit2.mp4')], output, ...base, maxClipsPerVideo: 4, clipsPerShard: 2});
    rmSync(path.join(output, 'train-000001.tar'));
    const shards = path.join(output, 'train-{000000..000001}.tar');
    await expect(take({...config, shards, onBadSample: 'skip'}, 5)).rejects.toThrow(/train-000001\.tar/);
  });
});
