// Reads safetensors files, one tensor at a time: the header alone stays in memory. A sharded model is opened by its
// `*.index.json` and reads like one file.
import {type FileHandle, open} from 'node:fs/promises';
import path from 'node:path';
import {UserError} from '../platform/user_error.ts';
import {explained} from './file_errors.ts';
import type {Dtype, HostTensor} from './host_tensor.ts';
import {quote, scanJson} from './json_scanner.ts';
import {type Header, headerLength, MAX_HEADER_BYTES, parseHeader} from './safetensors_header.ts';

/** What is known of a tensor before it is read. */
export interface TensorEntry {
  dtype: Dtype;
  shape: readonly number[];
  bytes: number;
  /** The file that holds it. */
  file: string;
}

/** An open file or sharded set. Tensors are listed in the order of their bytes, the order in which reading is fastest. */
export interface SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** One tensor, in memory of its own. @throws UserError where there is none of that name. */
  read(name: string): Promise<HostTensor>;
  /** One tensor's bytes into existing memory of exactly its size. */
  readInto(name: string, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

const READ_BYTES = 2 ** 26;
const MAX_SHARDS = 512;

/** Opens a `.safetensors` file, or the shards named by a `*.index.json`. @throws UserError for what is not one. */
export async function openSafetensors(file: string): Promise<SafetensorsFile> {
  return file.endsWith('.json') ? openSharded(file) : openOne(file);
}

/** The tensors of a whole file that is already in memory, as views of it. `label` names it in errors. */
export function parseSafetensors(
  bytes: Uint8Array,
  label: string,
): {tensors: Map<string, HostTensor>; metadata: Record<string, string>} {
  const length = headerLength(bytes.subarray(0, 8), bytes.length, label);
  const body = bytes.subarray(8 + length);
  const {tensors, metadata} = parseHeader(bytes.subarray(8, 8 + length), body.length, label);
  const views = new Map<string, HostTensor>();
  for (const [name, {dtype, shape, begin, end}] of tensors)
    views.set(name, {dtype, shape, data: body.subarray(begin, end)});
  return {tensors: views, metadata};
}

/** Opens a file, passes it to `use`, and closes it whatever happens. */
export async function withSafetensors<T>(file: string, use: (open: SafetensorsFile) => Promise<T>): Promise<T> {
  const opened = await openSafetensors(file);
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

async function openOne(file: string): Promise<SafetensorsFile> {
  const handle = await explained('read', file, () => open(file, 'r'));
  try {
    const {header, bodyStart} = await explained('read', file, () => readHeader(handle, file));
    const tensors = new Map<string, TensorEntry>();
    for (const [name, {dtype, shape, begin, end}] of header.tensors) {
      tensors.set(name, {dtype, shape, bytes: end - begin, file});
    }
    const readInto = async (name: string, target: Uint8Array) => {
      const place = header.tensors.get(name) ?? missing(name, file);
      const bytes = place.end - place.begin;
      if (target.length !== bytes) {
        throw new RangeError(`Tensor ${quote(name)} has ${bytes} bytes, the memory to read it into ${target.length}.`);
      }
      await explained('read', file, () => readFully(handle, target, bodyStart + place.begin, file));
    };
    const read = async (name: string): Promise<HostTensor> => {
      const {dtype, shape, bytes} = tensors.get(name) ?? missing(name, file);
      const data = uninitialised(bytes);
      await readInto(name, data);
      return {dtype, shape, data};
    };
    return {path: file, tensors, metadata: header.metadata, read, readInto, close: () => handle.close()};
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readHeader(handle: FileHandle, file: string): Promise<{header: Header; bodyStart: number}> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw new UserError(`Cannot read ${file}: it is not a file.`);
  const first = uninitialised(Math.min(8, stat.size));
  await readFully(handle, first, 0, file);
  const length = headerLength(first, stat.size, file);
  const text = uninitialised(length);
  await readFully(handle, text, 8, file);
  const bodyStart = 8 + length;
  return {header: parseHeader(text, stat.size - bodyStart, file), bodyStart};
}

async function openSharded(indexFile: string): Promise<SafetensorsFile> {
  const shardOf = await readIndex(indexFile);
  const names = [...new Set(shardOf.values())].sort();
  if (names.length > MAX_SHARDS) {
    throw new UserError(`${indexFile} names ${names.length} files; at most ${MAX_SHARDS} are read.`);
  }
  const shards = new Map<string, SafetensorsFile>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    const tensors = new Map<string, TensorEntry>();
    let metadata: Readonly<Record<string, string>> = {};
    for (const name of names) {
      const shard = await openOne(path.join(path.dirname(indexFile), name));
      shards.set(name, shard);
      metadata = {...shard.metadata, ...metadata};
      for (const [tensor, entry] of shard.tensors) {
        if (shardOf.get(tensor) !== name) {
          const said = shardOf.has(tensor) ? `puts it in ${shardOf.get(tensor)}` : 'does not name it';
          throw new UserError(`${shard.path} holds tensor ${quote(tensor)}, but ${indexFile} ${said}.`);
        }
        tensors.set(tensor, entry);
      }
    }
    for (const [tensor, name] of shardOf) {
      if (!tensors.has(tensor)) throw new UserError(`${indexFile} says ${name} holds ${quote(tensor)}, it does not.`);
    }
    const shard = (name: string) => shards.get(shardOf.get(name) ?? missing(name, indexFile))!;
    return {
      path: indexFile,
      tensors,
      metadata,
      read: async name => shard(name).read(name),
      readInto: async (name, target) => shard(name).readInto(name, target),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The weight map of an index file: tensor name -> name of a file beside the index. */
async function readIndex(indexFile: string): Promise<Map<string, string>> {
  const bytes = await explained('read', indexFile, () => readWhole(indexFile, MAX_HEADER_BYTES));
  const fail = (what: string): never => {
    throw new UserError(`${indexFile} is not an index of safetensors files: ${what}.`);
  };
  const shardOf = new Map<string, string>();
  const json = scanJson(new TextDecoder().decode(bytes), fail);
  json.object(key => {
    if (key !== 'weight_map') return json.skip();
    json.object(tensor => {
      const file = json.string();
      if (!/^[^/\\\0]+\.safetensors$/.test(file)) fail(`${quote(file)} is not the name of a file beside it`);
      shardOf.set(tensor, file);
    });
  });
  json.end();
  if (shardOf.size === 0) fail('its "weight_map" is missing or empty');
  return shardOf;
}

/** A file's bytes. @throws UserError where it is longer than `most`. */
async function readWhole(file: string, most: number): Promise<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    const {size} = await handle.stat();
    if (size > most) throw new UserError(`${file} has ${size} bytes; at most ${most} are read.`);
    const bytes = uninitialised(size);
    await readFully(handle, bytes, 0, file);
    return bytes;
  } finally {
    await handle.close();
  }
}

async function readFully(handle: FileHandle, target: Uint8Array, position: number, file: string): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const length = Math.min(READ_BYTES, target.length - done);
    const {bytesRead} = await handle.read(target, done, length, position + done);
    if (bytesRead === 0) throw new UserError(`${file} ended at byte ${position + done} while it was read.`);
    done += bytesRead;
  }
}

/** Memory that the caller fills whole; not zeroed first. */
function uninitialised(bytes: number): Uint8Array {
  const {buffer, byteOffset} = Buffer.allocUnsafeSlow(bytes);
  return new Uint8Array(buffer, byteOffset, bytes);
}

function missing(name: string, file: string): never {
  throw new UserError(`${file} holds no tensor ${quote(name)}.`);
}
