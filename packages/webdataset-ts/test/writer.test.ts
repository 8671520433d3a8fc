// The writer: limits, whole shards only, the same bytes for the same samples, and keys that readers would group wrongly.
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {readdir, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';
import {describe, expect, test} from 'vitest';
import {type MemberValue, openShardWriter, readShards, type ShardWriterOptions} from '../src/index.ts';
import {collect, errorOf, load, readKeys, temporaryFolder, text} from './helpers.ts';

const folder = temporaryFolder();

async function write(options: ShardWriterOptions, count = 10, bytes = 1000) {
  const writer = openShardWriter(options);
  for (let index = 0; index < count; index++) {
    await writer.write({key: `k${index}`, members: {bin: new Uint8Array(bytes).fill(index), json: {index}}});
  }
  return writer.close();
}

test('starts a shard after so many samples', async () => {
  const shards = await write({path: folder.path('count/%04d.tar'), maxCount: 4, firstShard: 7});
  expect(shards.map(({path, samples}) => [path, samples])).toEqual([
    [folder.path('count/0007.tar'), 4],
    [folder.path('count/0008.tar'), 4],
    [folder.path('count/0009.tar'), 2],
  ]);
  for (const {path, sha256, bytes} of shards) {
    const found = await load(path);
    expect(found).toHaveLength(bytes);
    expect(createHash('sha256').update(found).digest('hex')).toBe(sha256);
  }
  expect(await readKeys({urls: folder.path('count/{0007..0009}.tar')})).toHaveLength(10);
});

test('starts a shard before it grows too large; a sample too large gets one of its own', async () => {
  const shards = await write({path: folder.path('size/%d.tar'), maxBytes: 20_480}, 10, 3000);
  expect(shards.map(({samples}) => samples)).toEqual([4, 4, 2]);
  for (const {bytes} of shards) expect(bytes).toBeLessThanOrEqual(20_480);
  expect((await write({path: folder.path('one/%d.tar'), maxBytes: 100}, 3)).map(({samples}) => samples)).toEqual([
    1, 1, 1,
  ]);
});

test.each([false, true])(
  'the same samples give the same bytes, in whatever order their members are listed, gzip %s',
  async gzip => {
    const bytes = [];
    for (const [run, members] of [
      {a: 'x', 'b.json': [1]},
      {'b.json': [1], a: 'x'},
    ].entries()) {
      const path = folder.path(`same-${gzip}-${run}.tar`);
      const writer = openShardWriter({path: () => path, gzip});
      await writer.write({key: 'k', members});
      await writer.close();
      bytes.push(await load(path));
    }
    expect(bytes[0]).toEqual(bytes[1]);
  },
);

test('the caller may reuse its buffers', async () => {
  for (const size of [10, 300_000]) {
    const path = folder.path(`reuse-${size}.tar`);
    const writer = openShardWriter({path: () => path});
    const bin = new Uint8Array(size);
    for (let index = 0; index < 5; index++) await writer.write({key: String(index), members: {bin: bin.fill(index)}});
    await writer.close();
    expect((await collect(readShards({urls: path}))).map(({members}) => members.bin![size - 1])).toEqual([
      0, 1, 2, 3, 4,
    ]);
  }
});

test('a shard is there only when it is whole', async () => {
  const path = folder.path('whole/a.tar');
  const writer = openShardWriter({path: () => path});
  await writer.write({key: 'a', members: {txt: 'x'}});
  expect(existsSync(path)).toBe(false);
  await writer.abort();
  expect(await readdir(dirname(path))).toEqual([]);
  await expect(writer.write({key: 'b', members: {txt: 'x'}})).rejects.toMatchObject({code: 'write-failed'});
  expect(await openShardWriter({path: () => path}).close()).toEqual([]);
});

test('does not replace a shard unless told to', async () => {
  const path = folder.path('kept.tar');
  await writeFile(path, 'kept');
  const error = await errorOf(write({path: () => path}));
  expect(error).toMatchObject({code: 'write-failed', shard: path});
  expect(text(await load(path))).toBe('kept');
  await write({path: () => path, overwrite: true});
  expect(await readKeys({urls: path})).toHaveLength(10);
});

test.skipIf(!existsSync('/dev/full'))('a full disk is named (skipped where there is no /dev/full)', async () => {
  // Every write through this descriptor fails with ENOSPC: the link stands where the temporary file would.
  const {symlink} = await import('node:fs/promises');
  const path = folder.path('full.tar');
  await symlink('/dev/full', `${path}.${process.pid}.tmp`);
  const error = await errorOf(write({path: () => path}, 10, 300_000));
  expect(error).toMatchObject({code: 'write-failed', shard: path});
  expect(error.message).toContain('ENOSPC');
  expect(existsSync(path)).toBe(false);
});

describe('refuses what readers would misread', () => {
  const cases: [string, string, Record<string, MemberValue>][] = [
    ['a dot in the key', 'a.b', {txt: ''}],
    ['an empty key', '', {txt: ''}],
    ['a key that is a folder', 'a/', {txt: ''}],
    ['a key that climbs out', '../a', {txt: ''}],
    ['an absolute key', '/a', {txt: ''}],
    ['no members', 'a', {}],
    ['upper case', 'a', {TXT: ''}],
    ['a slash in an extension', 'a', {'x/y': ''}],
    ['an object that is not JSON', 'a', {txt: {a: 1}}],
    ['a lone surrogate', 'a\ud800', {txt: ''}],
  ];
  test.each(cases)('%s', async (_, key, members) => {
    const writer = openShardWriter({path: folder.path('refused-%d.tar')});
    expect(await errorOf(writer.write({key, members}))).toMatchObject({code: 'bad-sample', scope: 'sample'});
    expect(await writer.close()).toEqual([]);
  });

  test('the same key twice in a row', async () => {
    const writer = openShardWriter({path: folder.path('twice-%d.tar')});
    await writer.write({key: 'a', members: {txt: ''}});
    expect((await errorOf(writer.write({key: 'a', members: {txt: ''}}))).code).toBe('bad-sample');
    await writer.write({key: 'b', members: {txt: ''}});
    const [shard] = await writer.close();
    expect(await readKeys({urls: shard!.path})).toEqual(['a', 'b']);
  });

  test('a path without a number', () => {
    expect(() => openShardWriter({path: 'x.tar'})).toThrow(/%06d/);
  });
});
