// What the tests share: shards on disk, collecting streams, hostile headers.
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll} from 'vitest';
import {
  type JsonValue,
  openShardWriter,
  type ReadShardsOptions,
  readShards,
  type Sample,
  WebDatasetError,
} from '../src/index.ts';

/** A folder for one test file, removed at its end. */
export function temporaryFolder(): {path(name: string): string} {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'webdataset-test-'));
  });
  afterAll(() => rm(folder, {recursive: true, force: true}));
  return {path: name => join(folder, name)};
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

export const keysOf = (items: readonly {key: string}[]): string[] => items.map(item => item.key);

export async function readKeys(options: ReadShardsOptions): Promise<string[]> {
  return keysOf(await collect(readShards(options)));
}

/** Saved and loaded as a checkpoint would. */
export function thawed(state: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(state));
}

/** Writes `counts.length` shards with that many samples each and returns their paths. */
export async function writeShards(
  pattern: string,
  counts: readonly number[],
  options: {gzip?: boolean; bytes?: number} = {},
): Promise<string[]> {
  const paths: string[] = [];
  let index = 0;
  for (const [shard, count] of counts.entries()) {
    const path = pattern.replace('%d', String(shard));
    const writer = openShardWriter({path: () => path, gzip: options.gzip ?? false});
    for (let sample = 0; sample < count; sample++, index++) {
      const bin = new Uint8Array(options.bytes ?? index * 37).fill(index);
      await writer.write({key: `s${shard}/${String(index).padStart(4, '0')}`, members: {bin, json: {index}}});
    }
    await writer.close();
    paths.push(path);
  }
  return paths;
}

/** The error that reading a tar of these bytes gives. */
export async function errorOf(action: Promise<unknown>): Promise<WebDatasetError> {
  try {
    await action;
  } catch (error) {
    if (error instanceof WebDatasetError) return error;
    throw error;
  }
  throw new Error('an error was expected, found none');
}

/** Alters bytes of a header at `offset` and mends its checksum. */
export function patchHeader(tar: Uint8Array, offset: number, at: number, bytes: Uint8Array | string): void {
  tar.set(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, offset + at);
  tar.set(Buffer.from('        '), offset + 148);
  let sum = 0;
  for (let index = 0; index < 512; index++) sum += tar[offset + index]!;
  tar.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `, 'latin1'), offset + 148);
}

export async function saveAs(path: string, bytes: Uint8Array): Promise<string> {
  await writeFile(path, bytes);
  return path;
}

export async function load(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

export const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('utf8');

export type {Sample};
