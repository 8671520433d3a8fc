// Writes safetensors files, one tensor at a time, byte for byte as the reference library orders them; large models are
// split into numbered shards with an index, as other tools read them.
import {createHash, type Hash} from 'node:crypto';
import {type FileHandle, open, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {explained} from './file_errors.ts';
import {bytesOf, type Dtype, dtypeBytes, elements, type HostTensor} from './host_tensor.ts';
import {quote} from './json_scanner.ts';

/** A tensor to write: its bytes, or a function that makes them when their turn comes. */
export interface TensorSource {
  dtype: Dtype;
  shape: readonly number[];
  data: Uint8Array | (() => Uint8Array | Promise<Uint8Array>);
}

export interface WriteOptions {
  /** Free text for the header; `{format: 'pt'}` is what other tools expect of a model. */
  metadata?: Readonly<Record<string, string>>;
  /** Split into shards above this size of tensor data, in bytes. One tensor is never split. */
  maxShardBytes?: number;
}

/** A file that was written. */
export interface WrittenFile {
  file: string;
  bytes: number;
  /** SHA-256 of the whole file, hexadecimal. */
  sha256: string;
}

/** The few calls made on the file system, so that tests can let a disk fill up. */
export interface WriterFs {
  open(file: string, flags: string): Promise<Pick<FileHandle, 'write' | 'sync' | 'close'>>;
  rename(from: string, to: string): Promise<void>;
  rm(file: string, options: {force: boolean}): Promise<void>;
}

const realFs: WriterFs = {open, rename, rm};
const WRITE_BYTES = 2 ** 24;

/**
 * Writes `file` (ending in `.safetensors`), or `STEM-00001-of-0000N.safetensors` and `STEM.safetensors.index.json` beside
 * it where the tensors exceed `maxShardBytes`. Each file is flushed under a temporary name, then renamed.
 */
export async function writeSafetensors(
  file: string,
  tensors: Iterable<readonly [string, TensorSource]>,
  options: WriteOptions = {},
  fs: WriterFs = realFs,
): Promise<WrittenFile[]> {
  const sources = new Map<string, TensorSource>();
  for (const [name, source] of tensors) {
    if (sources.has(name)) throw new RangeError(`Two tensors are named ${quote(name)}.`);
    sources.set(name, source);
  }
  const shards = splitIntoShards([...sources], options.maxShardBytes ?? Number.POSITIVE_INFINITY);
  if (shards.length === 1) return [await writeOne(file, shards[0]!, options.metadata ?? {}, fs)];
  const stem = file.replace(/\.safetensors$/, '');
  const weightMap: Record<string, string> = {};
  const written: WrittenFile[] = [];
  let totalSize = 0;
  for (const [i, shard] of shards.entries()) {
    const number = (n: number) => String(n).padStart(5, '0');
    const shardFile = `${stem}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    written.push(await writeOne(shardFile, shard, options.metadata ?? {}, fs));
    for (const [name, source] of shard) {
      weightMap[name] = path.basename(shardFile);
      totalSize += bytesIn(source);
    }
  }
  const index = `${JSON.stringify({metadata: {total_size: totalSize}, weight_map: weightMap}, null, 2)}\n`;
  written.push(
    await writeAtomically(`${stem}.safetensors.index.json`, fs, put => put(new TextEncoder().encode(index))),
  );
  return written;
}

/** A whole file in memory, for small ones such as the members of a shard. */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, HostTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = inFileOrder([...tensors]);
  const header = encodeHeader(sorted, metadata);
  const bytes = new Uint8Array(header.length + sorted.reduce((sum, [, tensor]) => sum + bytesIn(tensor), 0));
  bytes.set(header);
  let at = header.length;
  for (const [name, tensor] of sorted) {
    bytes.set(checkedData(name, tensor, tensor.data), at);
    at += tensor.data.length;
  }
  return bytes;
}

type Named<T> = readonly [string, T];

async function writeOne(
  file: string,
  tensors: Named<TensorSource>[],
  metadata: Readonly<Record<string, string>>,
  fs: WriterFs,
): Promise<WrittenFile> {
  const sorted = inFileOrder(tensors);
  return writeAtomically(file, fs, async put => {
    await put(encodeHeader(sorted, metadata));
    for (const [name, source] of sorted) {
      const data = typeof source.data === 'function' ? await source.data() : source.data;
      await put(checkedData(name, source, data));
    }
  });
}

/** Lets `content` put bytes into a temporary file beside `file`, flushes it and renames it; hashes on the way. */
async function writeAtomically(
  file: string,
  fs: WriterFs,
  content: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<WrittenFile> {
  const temporary = `${file}.writing`;
  return explained('write', file, async () => {
    const handle = await fs.open(temporary, 'w');
    const hash = createHash('sha256');
    let bytes = 0;
    try {
      try {
        await content(async data => {
          await putAll(handle, hash, data);
          bytes += data.length;
        });
        await handle.sync();
      } finally {
        await handle.close();
      }
      await fs.rename(temporary, file);
    } catch (error) {
      await fs.rm(temporary, {force: true});
      throw error;
    }
    return {file, bytes, sha256: hash.digest('hex')};
  });
}

async function putAll(handle: Pick<FileHandle, 'write'>, hash: Hash, data: Uint8Array): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const part = data.subarray(done, done + WRITE_BYTES);
    const {bytesWritten} = await handle.write(part);
    hash.update(part.subarray(0, bytesWritten));
    done += bytesWritten;
  }
}

function encodeHeader(
  sorted: readonly Named<Pick<TensorSource, 'dtype' | 'shape'>>[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  let offset = 0;
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  for (const [name, {dtype, shape}] of sorted) {
    if (name === '__metadata__') throw new RangeError('A tensor cannot be named "__metadata__".');
    const end = offset + bytesIn({dtype, shape});
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({dtype, shape, data_offsets: [offset, end]})}`);
    offset = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  // Spaces up to a multiple of 8, so that the data is aligned.
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  return header;
}

// The reference library sorts by alignment, widest first, then by name: every tensor starts aligned.
const dtypeOrder: Readonly<Record<Dtype, number>> = {I64: 0, F32: 1, I32: 2, BF16: 3, F16: 4, U8: 5};

function inFileOrder<T extends {dtype: Dtype}>(tensors: readonly Named<T>[]): Named<T>[] {
  return tensors
    .map(entry => ({entry, key: Buffer.from(entry[0])}))
    .sort((a, b) => dtypeOrder[a.entry[1].dtype] - dtypeOrder[b.entry[1].dtype] || Buffer.compare(a.key, b.key))
    .map(({entry}) => entry);
}

function splitIntoShards(tensors: Named<TensorSource>[], maxBytes: number): Named<TensorSource>[][] {
  const shards: Named<TensorSource>[][] = [[]];
  let size = 0;
  for (const entry of tensors) {
    const bytes = bytesIn(entry[1]);
    if (size > 0 && size + bytes > maxBytes) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(entry);
    size += bytes;
  }
  return shards;
}

function bytesIn({dtype, shape}: Pick<TensorSource, 'dtype' | 'shape'>): number {
  return elements(shape) * dtypeBytes[dtype];
}

function checkedData(name: string, source: Pick<TensorSource, 'dtype' | 'shape'>, data: Uint8Array): Uint8Array {
  const wanted = bytesIn(source);
  if (data.length === wanted) return bytesOf(data);
  throw new RangeError(
    `Tensor ${quote(name)}, ${source.dtype} of shape [${source.shape}], is ${wanted} bytes, got ${data.length}.`,
  );
}
