// Writes samples into tar shards, limited by count and size, that Python's webdataset and any tar reads. The same samples
// give the same bytes; a shard appears under its name only when it is whole.
import {createHash, type Hash} from 'node:crypto';
import {constants} from 'node:fs';
import {access, type FileHandle, mkdir, open, rename, unlink} from 'node:fs/promises';
import {dirname} from 'node:path';
import {createGzip, type Gzip, constants as zlib} from 'node:zlib';
import {messageOf, WebDatasetError} from './errors.ts';
import {unsafeName} from './group.ts';
import {BLOCK, encodeHeader, paddingOf} from './tar_header.ts';
import {type JsonValue, requireCount} from './types.ts';

/** What a member may be: bytes, text (UTF-8), or anything JSON for extensions that end in json; a number for others. */
export type MemberValue = Uint8Array | JsonValue;

export interface ShardWriterOptions {
  /** `out/train-%06d.tar`: %d or %0Nd stands for the shard's number. Or a function from number to path. */
  path: string | ((shard: number) => string);
  /** Samples per shard at most; default 100,000. */
  maxCount?: number;
  /** Bytes of tar per shard at most, before packing; default 3e9. A sample larger than that gets a shard of its own. */
  maxBytes?: number;
  /** The first shard's number; default 0. */
  firstShard?: number;
  /** Packs with gzip. Packed shards cannot be resumed by seeking; video and images do not shrink. */
  gzip?: boolean;
  /** Whether an existing shard is replaced; default false: it is an error. */
  overwrite?: boolean;
  /** The members' time stamp in seconds since 1970; default 0, so that bytes do not depend on when. */
  mtime?: number;
}

export interface WrittenShard {
  path: string;
  samples: number;
  /** Size of the file. */
  bytes: number;
  sha256: string;
}

export interface ShardWriter {
  /** Appends one sample; members are written in the order of their extensions. */
  write(sample: {key: string; members: Readonly<Record<string, MemberValue>>}): Promise<void>;
  /** The shards finished so far. */
  readonly shards: readonly WrittenShard[];
  /** Finishes the last shard and returns them all. */
  close(): Promise<WrittenShard[]>;
  /** Drops the unfinished shard; finished ones stay. */
  abort(): Promise<void>;
}

interface OpenShardFile {
  path: string;
  temporary: string;
  file: FileHandle;
  gzip: Gzip | undefined;
  packing: Promise<void> | undefined;
  hash: Hash;
  samples: number;
  tarBytes: number;
  bytes: number;
  pending: Uint8Array[];
  pendingBytes: number;
}

const DIRECT_BYTES = 256 * 1024;
const FLUSH_BYTES = 4 * 2 ** 20;
const MOST_MEMBER_BYTES = 8 ** 11 - 1; // what a ustar size field holds
const RECORD_BYTES = 20 * BLOCK;

/** Opens a writer; nothing is created before the first sample. */
export function openShardWriter(options: ShardWriterOptions): ShardWriter {
  const {maxCount = 100_000, maxBytes = 3e9, overwrite = false, mtime = 0} = options;
  requireCount(maxCount, 'maxCount');
  requireCount(maxBytes, 'maxBytes');
  requireCount(mtime, 'mtime', 0);
  const pathOf = typeof options.path === 'function' ? options.path : patternPath(options.path);
  const finished: WrittenShard[] = [];
  let number = options.firstShard ?? 0;
  requireCount(number, 'firstShard', 0);
  let current: OpenShardFile | undefined;
  let lastKey: string | undefined;
  let failed = false;

  async function guarded<T>(path: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      failed = true;
      await drop();
      if (error instanceof WebDatasetError) throw error;
      throw new WebDatasetError('write-failed', `writing failed (${messageOf(error)})`, {shard: path, cause: error});
    }
  }

  async function drop(): Promise<void> {
    const dropped = current;
    current = undefined;
    if (!dropped) return;
    dropped.gzip?.destroy();
    await dropped.packing?.catch(() => {});
    await dropped.file.close().catch(() => {});
    await unlink(dropped.temporary).catch(() => {});
  }

  async function begin(): Promise<OpenShardFile> {
    const path = pathOf(number);
    return guarded(path, async () => {
      if (!overwrite && (await exists(path))) {
        throw new WebDatasetError(
          'write-failed',
          'it is already there; remove it, choose another path or set overwrite',
          {shard: path},
        );
      }
      await mkdir(dirname(path), {recursive: true});
      const temporary = `${path}.${process.pid}.tmp`;
      const file = await open(temporary, 'w');
      const gzip = options.gzip ? createGzip({level: zlib.Z_DEFAULT_COMPRESSION}) : undefined;
      const shard: OpenShardFile = {
        path,
        temporary,
        file,
        gzip,
        packing: undefined,
        hash: createHash('sha256'),
        samples: 0,
        tarBytes: 0,
        bytes: 0,
        pending: [],
        pendingBytes: 0,
      };
      if (gzip) {
        shard.packing = (async () => {
          for await (const chunk of gzip) await store(shard, [chunk as Buffer]);
        })();
        shard.packing.catch(() => {}); // reported by flush or finish
      }
      return shard;
    });
  }

  async function store(shard: OpenShardFile, chunks: Uint8Array[]): Promise<void> {
    for (const chunk of chunks) shard.hash.update(chunk);
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    const {bytesWritten} = await shard.file.writev(chunks);
    if (bytesWritten !== length) throw new Error(`${bytesWritten} of ${length} bytes were written; is the disk full?`);
    shard.bytes += length;
  }

  async function flush(shard: OpenShardFile): Promise<void> {
    const chunks = shard.pending;
    shard.pending = [];
    shard.pendingBytes = 0;
    if (chunks.length === 0) return;
    const {gzip, packing} = shard;
    if (!gzip) return store(shard, chunks);
    for (const chunk of chunks) {
      if (gzip.write(chunk)) continue;
      await Promise.race([new Promise(resolve => gzip.once('drain', resolve)), packing]);
    }
  }

  async function finish(): Promise<void> {
    const shard = current;
    if (!shard) return;
    await guarded(shard.path, async () => {
      // Two blocks of zeros, then zeros to a whole record, as tar writes them.
      const end = 2 * BLOCK;
      shard.pending.push(
        new Uint8Array(end + ((RECORD_BYTES - ((shard.tarBytes + end) % RECORD_BYTES)) % RECORD_BYTES)),
      );
      await flush(shard);
      shard.gzip?.end();
      await shard.packing;
      await shard.file.sync();
      await shard.file.close();
      await rename(shard.temporary, shard.path);
      current = undefined;
      finished.push({path: shard.path, samples: shard.samples, bytes: shard.bytes, sha256: shard.hash.digest('hex')});
      number++;
      lastKey = undefined;
    });
  }

  return {
    shards: finished,
    async write(sample) {
      if (failed) throw new WebDatasetError('write-failed', 'the writer has failed before or was closed; open another');
      const chunks = encodeSample(sample, mtime);
      let bytes = 0;
      for (const chunk of chunks) bytes += chunk.length;
      if (current && (current.samples >= maxCount || current.tarBytes + bytes + 2 * BLOCK > maxBytes)) await finish();
      if (sample.key === lastKey) {
        const message = 'the sample before it has the same key, readers would take both for one';
        throw new WebDatasetError('bad-sample', message, {scope: 'sample', key: sample.key});
      }
      current ??= await begin();
      const shard = current;
      // The members stay the caller's memory: copied, unless they are written before this returns.
      const direct = !shard.gzip && bytes >= DIRECT_BYTES;
      if (direct) shard.pending.push(...chunks);
      else shard.pending.push(Buffer.concat(chunks));
      shard.pendingBytes += bytes;
      shard.tarBytes += bytes;
      shard.samples++;
      lastKey = sample.key;
      if (direct || shard.pendingBytes >= FLUSH_BYTES) await guarded(shard.path, () => flush(shard));
    },
    async close() {
      if (!failed) await finish();
      failed = true;
      return [...finished];
    },
    async abort() {
      failed = true;
      await drop();
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

function patternPath(pattern: string): (shard: number) => string {
  const parts = pattern.split(/%(?:0?(\d+))?d/);
  if (parts.length !== 3) {
    throw new WebDatasetError(
      'bad-option',
      `the path must have one %d or %06d for the shard's number, found ${pattern}`,
    );
  }
  const [before, width, after] = parts;
  return shard => `${before}${String(shard).padStart(Number(width ?? 0), '0')}${after}`;
}

/** The bytes of one member. Refuses what has no plain meaning for the extension. */
export function encodeMember(extension: string, value: MemberValue): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (/(?:^|\.)json$/.test(extension)) return Buffer.from(JSON.stringify(value));
  if (typeof value === 'string') return Buffer.from(value);
  if (typeof value === 'number') return Buffer.from(String(value));
  throw new WebDatasetError(
    'bad-sample',
    `the member .${extension} must be bytes, text or a number, found ${typeof value}`,
    {scope: 'sample'},
  );
}

function encodeSample(
  sample: {key: string; members: Readonly<Record<string, MemberValue>>},
  mtime: number,
): Uint8Array[] {
  const {key, members} = sample;
  const refuse = (message: string) => new WebDatasetError('bad-sample', message, {scope: 'sample', key});
  const base = key.slice(key.lastIndexOf('/') + 1);
  if (base === '' || base.includes('.'))
    throw refuse('a key must have a last part without dots: what follows the first dot is the extension');
  const unsafe = unsafeName(key);
  if (unsafe) throw refuse(`the key ${unsafe}`);
  if (/[\ud800-\udfff]/u.test(key)) throw refuse('the key is not well-formed text');
  const extensions = Object.keys(members).sort();
  if (extensions.length === 0) throw refuse('a sample must have at least one member');
  return extensions.flatMap(extension => {
    if (extension === '' || /[/\\\0]/.test(extension) || extension !== extension.toLowerCase()) {
      throw refuse(`the extension ${JSON.stringify(extension)} must be lower case, not empty, without slashes`);
    }
    const name = `${key}.${extension}`;
    if (!key.includes('/') && name.startsWith('__') && name.endsWith('__'))
      throw refuse('names __like_this__ are passed over by readers');
    const data = encodeMember(extension, members[extension]!);
    if (data.length > MOST_MEMBER_BYTES)
      throw refuse(`the member .${extension} has ${data.length} bytes, at most 8 GiB fit`);
    return [...encodeHeader(name, data.length, {mode: 0o644, mtime}), data, new Uint8Array(paddingOf(data.length))];
  });
}
