// Shards on this machine: files, read ahead by one chunk into two reused buffers, and standard input.
import {type FileHandle, open} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import type {ByteSource} from './bytes.ts';
import {messageOf, WebDatasetError} from './errors.ts';
import {schemeOf, shardName} from './urls.ts';

const CHUNK_BYTES = 256 * 1024;

/** The path of a `file:` address or of a plain path. */
export function localPath(url: string): string {
  if (schemeOf(url) !== 'file') throw new WebDatasetError('bad-option', `${shardName(url)} is not a local path`);
  return /^file:\/\//i.test(url) ? fileURLToPath(url) : url.replace(/^file:/i, '');
}

/** Opens a local file; errors are of scope 'shard', so that a policy may skip a missing one. */
export async function openFile(path: string, name: string): Promise<ByteSource> {
  let file: FileHandle;
  let size: number;
  try {
    file = await open(path, 'r');
    const stats = await file.stat();
    if (stats.isDirectory()) {
      await file.close();
      throw new WebDatasetError('io', 'it is a folder, a tar file was expected', {scope: 'shard', shard: name});
    }
    // A pipe has no size and cannot be read by position.
    if (!stats.isFile()) return streamSource(name, file.createReadStream());
    size = stats.size;
  } catch (error) {
    if (error instanceof WebDatasetError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const message = missing ? 'there is no such file; check the path' : `it cannot be opened (${messageOf(error)})`;
    throw new WebDatasetError(missing ? 'not-found' : 'io', message, {scope: 'shard', shard: name, cause: error});
  }
  const chunkBytes = Math.max(512, Math.min(CHUNK_BYTES, size));
  const buffers = [
    Buffer.allocUnsafeSlow(chunkBytes),
    Buffer.allocUnsafeSlow(size > chunkBytes ? chunkBytes : 512),
  ] as const;

  async function* chunks(from: number): AsyncGenerator<Uint8Array> {
    let position = from;
    let turn = 0;
    const read = () => {
      const pending = file.read(buffers[turn++ % 2]!, {position});
      pending.catch(() => {}); // reported where it is awaited
      return pending;
    };
    let pending = read();
    try {
      for (;;) {
        const {bytesRead, buffer} = await pending;
        if (bytesRead === 0) return;
        position += bytesRead;
        pending = read();
        yield buffer.subarray(0, bytesRead);
      }
    } catch (error) {
      throw new WebDatasetError('io', `reading failed at byte ${position} (${messageOf(error)})`, {
        scope: 'shard',
        shard: name,
        cause: error,
      });
    } finally {
      await pending.catch(() => {}); // the buffers must be still before they are used again
    }
  }
  return {name, size, seekBytes: 2 * CHUNK_BYTES, endChecks: 0, chunks, close: () => file.close()};
}

/** A source that can be read once, from its beginning; a later offset is reached by reading up to it. */
export function streamSource(name: string, stream: AsyncIterable<Uint8Array>): ByteSource {
  let used = false;
  async function* chunks(from: number): AsyncGenerator<Uint8Array> {
    if (used) throw new WebDatasetError('io', 'a stream can be read only once', {scope: 'run', shard: name});
    used = true;
    let toSkip = from;
    for await (const chunk of stream) {
      if (toSkip >= chunk.length) {
        toSkip -= chunk.length;
        continue;
      }
      const rest = toSkip > 0 ? chunk.subarray(toSkip) : chunk;
      toSkip = 0;
      yield rest;
    }
  }
  return {name, seekBytes: Number.POSITIVE_INFINITY, endChecks: 0, chunks, close: async () => {}};
}
