// Opens a shard wherever it is: picks the transport by the address and unpacks gzip, which it knows by its first bytes.
import {ByteReader, type ByteSource} from './bytes.ts';
import {WebDatasetError} from './errors.ts';
import {gunzipSource} from './gzip.ts';
import {localPath, openFile, streamSource} from './local.ts';
import {schemeOf, shardName} from './urls.ts';

/** How shards are reached. */
export interface OpenOptions {
  /** What '-' reads; default process.stdin. */
  stdin?: AsyncIterable<Uint8Array>;
}

export interface OpenShard {
  reader: ByteReader;
  /** Whether the shard is gzip'd: offsets count unpacked bytes, and are reached by unpacking up to them. */
  packed: boolean;
}

async function sourceOf(url: string, options: OpenOptions): Promise<ByteSource> {
  const scheme = schemeOf(url);
  if (scheme === 'file') return openFile(localPath(url), shardName(url));
  if (scheme === 'stdin') return streamSource('-', options.stdin ?? process.stdin);
  throw new WebDatasetError('unsupported', `${scheme} is not supported`);
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
