// The cache of remote shards: bounded, shared between readers, and never the reason for a wrong sample.
import {readdirSync, statSync} from 'node:fs';
import {mkdir, readdir, utimes, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, expect, test} from 'vitest';
import {type ReadShardsOptions, readShards} from '../src/index.ts';
import {collect, errorOf, load, readKeys, temporaryFolder, thawed, writeShards} from './helpers.ts';
import {type HostileServer, startServer} from './hostile_server.ts';

const folder = temporaryFolder();
const files = new Map<string, Uint8Array>();
let server: HostileServer;
let expected: string[];
let size: number;
let run = 0;
const http = {retries: 4, retryDelay: 1, stallTimeout: 300};

beforeAll(async () => {
  const paths = await writeShards(folder.path('%d.tar'), [6, 6, 6, 6], {bytes: 900});
  for (const [index, path] of paths.entries()) files.set(`${index}.tar`, await load(path));
  size = files.get('0.tar')!.length;
  expected = await readKeys({urls: paths});
  server = await startServer(files);
});
afterAll(() => server.close());
afterEach(() => {
  server.faults = [];
  server.requests.length = 0;
});

function options(shards: number, bypassed: string[] = []): ReadShardsOptions & {cache: {folder: string}} {
  const cache = {
    folder: folder.path(`cache-${run++}`),
    maxBytes: shards * size,
    onBypass: (message: string) => bypassed.push(message),
  };
  return {urls: [0, 1, 2, 3].map(index => server.url(`${index}.tar`)), http, cache};
}

/** Synchronous, so that nothing of this process happens between the sizes. */
function bytesIn(path: string): number {
  return readdirSync(path).reduce((total, name) => total + statSync(join(path, name)).size, 0);
}

const downloads = () => server.requests.filter(({range}) => range === undefined).length;

test('a second epoch asks the server for nothing', async () => {
  const cached = options(10);
  expect(await readKeys(cached)).toEqual(expected);
  expect(downloads()).toBe(4);
  server.requests.length = 0;
  expect(await readKeys(cached)).toEqual(expected);
  expect(server.requests).toHaveLength(0);
});

test('keeps within its limit, drops the least recently used, and leaves nothing unfinished', async () => {
  const cached = options(2);
  for (const _ of [1, 2]) {
    for await (const _sample of readShards(cached)) expect(bytesIn(cached.cache.folder)).toBeLessThanOrEqual(2 * size);
  }
  const names = await readdir(cached.cache.folder);
  expect(names.map(name => name.slice(-5)).toSorted()).toEqual(['2.tar', '3.tar']);
});

test('a shard larger than the cache is streamed, and said so', async () => {
  const bypassed: string[] = [];
  const cached = options(0.5, bypassed);
  expect(await readKeys(cached)).toEqual(expected);
  expect(bypassed.join()).toContain('larger than the whole cache');
  expect(await readdir(cached.cache.folder)).toEqual([]);
});

test('a folder that cannot be written is said aloud and passed by', async () => {
  const bypassed: string[] = [];
  const cached = options(9, bypassed);
  await writeFile(cached.cache.folder, 'a file where the folder should be');
  expect(await readKeys(cached)).toEqual(expected);
  expect(bypassed.length).toBeGreaterThan(0);
});

test('readers at the same time share one folder and see every sample', async () => {
  const cached = options(2);
  const epochs = await Promise.all([0, 1, 2].map(seed => readKeys({...cached, seed})));
  for (const keys of epochs) expect(keys.toSorted()).toEqual(expected.toSorted());
  expect(bytesIn(cached.cache.folder)).toBeLessThanOrEqual(2 * size);
});

test('faults of the server do not reach the cache', async () => {
  const cached = options(10);
  server.faults = ['cut', '503', 'length too small', 'good', 'hang up', 'length too large', 'stall in the body'];
  expect(await readKeys(cached)).toEqual(expected);
  for (const name of await readdir(cached.cache.folder))
    expect(await load(join(cached.cache.folder, name))).toEqual(files.get(name.slice(-5)));
});

test('a damaged copy is named and fetched anew the next time', async () => {
  const cached = options(10);
  await readKeys(cached);
  server.requests.length = 0;
  const copy = join(cached.cache.folder, (await readdir(cached.cache.folder)).find(name => name.endsWith('1.tar'))!);
  await writeFile(copy, (await load(copy)).fill(7, 512, 1024));
  await writeFile(copy, (await load(copy)).fill(7, 1536, 2048));
  expect((await errorOf(collect(readShards(cached)))).code).toBe('bad-checksum');
  expect(await readKeys(cached)).toEqual(expected);
});

test('unfinished downloads of dead processes are removed, foreign files are not', async () => {
  const cached = options(2);
  await mkdir(cached.cache.folder, {recursive: true});
  const part = join(cached.cache.folder, `${'0'.repeat(32)}-x.tar.abc.part`);
  await writeFile(part, new Uint8Array(size));
  await utimes(part, 1, 1);
  await writeFile(join(cached.cache.folder, 'notes.txt'), 'mine');
  expect(await readKeys({...cached, cache: {...cached.cache, maxBytes: 2 * size + 4}})).toEqual(expected);
  const names = await readdir(cached.cache.folder);
  expect(names).toContain('notes.txt');
  expect(names.some(name => name.endsWith('.part'))).toBe(false);
});

test('resumes from the cache, and stopping early stops what was being fetched ahead', async () => {
  const cached = options(10);
  const all = await collect(readShards(cached));
  expect(await collect(readShards({...cached, state: thawed(all[9]!.state)}))).toEqual(all.slice(10));
  const fresh = options(10);
  for await (const _ of readShards(fresh)) break;
  expect((await readdir(fresh.cache.folder)).some(name => name.endsWith('.part'))).toBe(false);
});
