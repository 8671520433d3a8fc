// A bounded cache of remote shards on local disk. Several processes may share its folder: a shard appears under its name
// by an atomic rename only when it is whole, and one that is deleted while being read stays readable to who has it open.
import {createHash, randomBytes} from 'node:crypto';
import {type FileHandle, mkdir, open, readdir, rename, stat, unlink, utimes} from 'node:fs/promises';
import {basename, join} from 'node:path';
import type {ByteSource} from './bytes.ts';
import {messageOf, WebDatasetError} from './errors.ts';
import type {HttpSource} from './http.ts';
import {openFile} from './local.ts';

export interface CacheOptions {
  folder: string;
  /** All files of the folder together, unfinished downloads included, stay within this. */
  maxBytes: number;
  /** Shards downloaded ahead of the one being read; default 1. */
  ahead?: number;
  /** Hears why a shard was read without the cache: larger than it, no room, disk trouble. Default: nothing. */
  onBypass?: (message: string) => void;
}

const PART = '.part';
const STALE_MILLISECONDS = 3_600_000;
const RESERVE_BYTES = 64 * 2 ** 20;

/** Downloads under way in this process, so that reading ahead and reading share one. */
const downloads = new Map<string, Promise<boolean>>();

/** Where a shard lies in the cache: a hash of its name, then the end of its name for people. */
export function cachePath(options: CacheOptions, name: string): string {
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  const tail = name
    .slice(name.lastIndexOf('/') + 1)
    .replace(/[^\w.-]/g, '_')
    .slice(-80);
  return join(options.folder, `${hash}-${tail}`);
}

/**
 * The shard from the cache, downloading it first if it is not there; undefined when it must be read without the cache.
 * Errors of the transport are thrown; trouble with the disk is reported to `onBypass`.
 */
export async function openCached(options: CacheOptions, remote: HttpSource): Promise<ByteSource | undefined> {
  checkOptions(options);
  const path = cachePath(options, remote.name);
  // A second round, in case another process deletes the file between download and opening.
  for (let round = 0; round < 2; round++) {
    const source = await openFile(path, remote.name).catch((error: WebDatasetError) => {
      if (error.code !== 'not-found')
        options.onBypass?.(`shard ${remote.name} is read without the cache: ${error.detail}`);
      return error.code === 'not-found' ? undefined : 'trouble';
    });
    if (source === 'trouble') return undefined;
    if (source) {
      const now = new Date();
      await utimes(path, now, now).catch(() => {}); // the time of last use; deleted meanwhile is no matter
      return source;
    }
    if (!(await download(options, remote))) return undefined;
  }
  options.onBypass?.(
    `shard ${remote.name} was deleted from the cache as soon as it was there; the cache is too small for its users`,
  );
  return undefined;
}

/** Downloads a shard if it is not there. Never rejects: failures are left to the reading that follows. */
export async function downloadAhead(options: CacheOptions, remote: HttpSource): Promise<void> {
  const there = await stat(cachePath(options, remote.name)).catch(() => undefined);
  if (!there) await download(options, remote).catch(() => {});
}

/** Removes a shard that turned out to be damaged, so that the next reading fetches it anew. */
export async function dropCached(options: CacheOptions, name: string): Promise<void> {
  await unlink(cachePath(options, name)).catch(() => {});
}

function checkOptions(options: CacheOptions): void {
  if (!(Number.isSafeInteger(options.maxBytes) && options.maxBytes > 0)) {
    throw new WebDatasetError(
      'bad-option',
      `cache.maxBytes must be a whole number of bytes above 0, found ${options.maxBytes}`,
    );
  }
}

function download(options: CacheOptions, remote: HttpSource): Promise<boolean> {
  const path = cachePath(options, remote.name);
  let running = downloads.get(path);
  if (!running) {
    running = fetchShard(options, remote, path).finally(() => downloads.delete(path));
    downloads.set(path, running);
  }
  return running;
}

/** A failure of the disk, as opposed to one of the network. */
class DiskTrouble extends Error {}

async function fetchShard(options: CacheOptions, remote: HttpSource, path: string): Promise<boolean> {
  const part = `${path}.${randomBytes(6).toString('hex')}${PART}`;
  const onDisk = <T>(action: Promise<T>): Promise<T> =>
    action.catch(error => {
      throw new DiskTrouble(messageOf(error));
    });
  let file: FileHandle | undefined;
  try {
    await onDisk(mkdir(options.folder, {recursive: true}));
    let written = 0;
    let reserved = 0;
    for (let before = -1; before < written; ) {
      before = written;
      for await (const chunk of remote.chunks(written)) {
        file ??= await onDisk(open(part, 'wx'));
        const needed = written + chunk.length;
        if (needed > reserved) {
          // The file is grown ahead of its data, so that other processes see the room as taken.
          const stated = remote.length() ?? 0;
          reserved = stated >= needed ? stated : Math.max(needed, Math.min(needed + RESERVE_BYTES, options.maxBytes));
          if (reserved > options.maxBytes) throw new DiskTrouble('it is larger than the whole cache');
          const noRoom = 'the cache has no room: others are filling it';
          if (!(await makeRoom(options, part, reserved))) throw new DiskTrouble(noRoom);
          await onDisk(file.truncate(reserved));
          // Once more, in case another process made the same calculation at the same time.
          if (!(await makeRoom(options, part, reserved))) throw new DiskTrouble(noRoom);
        }
        await onDisk(writeAll(file, chunk, written));
        written = needed;
      }
      // A stated length may have been too small: ask whether there is more. The end of an answer without one is sure.
      if (remote.length() === undefined) break;
    }
    if (!file) return false; // an empty answer: let the direct reading name it
    await onDisk(file.truncate(written));
    await onDisk(file.datasync());
    await onDisk(file.close());
    file = undefined;
    await onDisk(rename(part, path));
    return true;
  } catch (error) {
    if (!(error instanceof DiskTrouble)) throw error;
    options.onBypass?.(`shard ${remote.name} is read without the cache: ${error.message}`);
    return false;
  } finally {
    await file?.close().catch(() => {});
    await unlink(part).catch(() => {});
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const {bytesWritten} = await file.write(chunk, done, chunk.length - done, at + done);
    done += bytesWritten;
  }
}

/**
 * Deletes the least recently used shards until the folder is within its limit, with `own` taken as `ownBytes` large; false
 * if unfinished downloads exceed it.
 */
async function makeRoom(options: CacheOptions, own: string, ownBytes: number): Promise<boolean> {
  const files: {path: string; bytes: number; used: number; isPart: boolean}[] = [];
  for (const name of await readdir(options.folder)) {
    const path = join(options.folder, name);
    const stats = await stat(path).catch(() => undefined); // deleted by another process meanwhile
    if (!stats?.isFile()) continue;
    files.push({path, bytes: path === own ? ownBytes : stats.size, used: stats.mtimeMs, isPart: name.endsWith(PART)});
  }
  let total = files.reduce((sum, file) => sum + file.bytes, 0);
  const abandoned = Date.now() - STALE_MILLISECONDS;
  const deletable = files
    .filter(file => file.path !== own && /^[0-9a-f]{32}-/.test(basename(file.path)))
    .filter(file => !file.isPart || file.used < abandoned)
    .sort((a, b) => Number(b.isPart) - Number(a.isPart) || a.used - b.used);
  for (const file of deletable) {
    if (total <= options.maxBytes) break;
    await unlink(file.path).catch(() => {});
    total -= file.bytes;
  }
  return total <= options.maxBytes;
}
