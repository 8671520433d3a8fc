// Opens a shard wherever it is: picks the transport by the address and unpacks gzip, which it knows by its first bytes.
import {ByteReader, type ByteSource} from './bytes.ts';
import {type CacheOptions, downloadAhead, dropCached, openCached} from './cache.ts';
import {WebDatasetError} from './errors.ts';
import {gunzipSource} from './gzip.ts';
import {type HttpOptions, type HttpSource, httpSource, httpTarget} from './http.ts';
import {localPath, openFile, streamSource} from './local.ts';
import {type S3Options, s3Target} from './s3.ts';
import {schemeOf, shardName} from './urls.ts';

/** How shards are reached. */
export interface OpenOptions {
  http?: HttpOptions;
  s3?: S3Options;
  /** Keeps remote shards on local disk; without it they are streamed each time. */
  cache?: CacheOptions;
  /** What '-' reads; default process.stdin. */
  stdin?: AsyncIterable<Uint8Array>;
}

export interface OpenShard {
  reader: ByteReader;
  /** Whether the shard is gzip'd: offsets count unpacked bytes, and are reached by unpacking up to them. */
  packed: boolean;
}

function remoteSource(url: string, options: OpenOptions, signal?: AbortSignal): HttpSource | undefined {
  const scheme = schemeOf(url);
  if (scheme === 'http') return httpSource(httpTarget(url), options.http, signal);
  if (scheme === 's3') return httpSource(s3Target(url, options.s3), options.http, signal);
  return undefined;
}

async function sourceOf(url: string, options: OpenOptions): Promise<ByteSource> {
  const remote = remoteSource(url, options);
  if (remote) return (options.cache && (await openCached(options.cache, remote))) ?? remote;
  if (schemeOf(url) === 'stdin') return streamSource('-', options.stdin ?? process.stdin);
  return openFile(localPath(url), shardName(url));
}

/** Fetches the next shards into the cache, where there is one. Resolves when that is done or called off; never rejects. */
export async function prepareShards(urls: readonly string[], options: OpenOptions, signal: AbortSignal): Promise<void> {
  const {cache} = options;
  if (!cache) return;
  for (const url of urls.slice(0, cache.ahead ?? 1)) {
    const remote = signal.aborted ? undefined : remoteSource(url, options, signal);
    if (remote) await downloadAhead(cache, remote);
  }
}

/** Forgets a damaged shard's copy in the cache. */
export async function forgetShard(url: string, options: OpenOptions): Promise<void> {
  const scheme = schemeOf(url);
  if (options.cache && (scheme === 'http' || scheme === 's3')) await dropCached(options.cache, shardName(url));
}

const OTHER_PACKERS: readonly [name: string, magic: readonly number[]][] = [
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58]],
];

/** Opens a shard at a byte of its tar. `packed` is what an earlier opening said of it. */
export async function openShard(url: string, options: OpenOptions, at = 0, packed = false): Promise<OpenShard> {
  const source = await sourceOf(url, options);
  try {
    if (at > 0 && !packed) return {reader: new ByteReader(source, at), packed: false};
    const raw = new ByteReader(source, 0);
    const magic = await raw.peek(4);
    if (magic[0] === 0x1f && magic[1] === 0x8b) {
      return {reader: new ByteReader(gunzipSource(raw), at), packed: true};
    }
    const other = OTHER_PACKERS.find(([, bytes]) => bytes.every((byte, index) => magic[index] === byte));
    if (other) {
      const message = `it is packed with ${other[0]}, plain tar or gzip was expected; unpack it first`;
      throw new WebDatasetError('bad-compression', message, {scope: 'shard', shard: source.name});
    }
    if (at > 0) await raw.skip(at);
    return {reader: raw, packed: false};
  } catch (error) {
    await source.close();
    throw error;
  }
}
