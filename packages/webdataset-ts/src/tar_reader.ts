// Walks the members of one tar: names and sizes first, data only when asked for. Own code rather than tar-stream because
// resuming needs each member's byte offset, and hostile headers must be refused before anything is read for them.
import type {ByteReader} from './bytes.ts';
import {type ErrorCode, WebDatasetError} from './errors.ts';
import {BLOCK, decodeName, isZero, type MemberName, paddingOf, parseHeader, parsePax, paxNumber} from './tar_header.ts';
import type {Limits} from './types.ts';

/** A regular file in the tar. Its data comes next in the reader: take or skip exactly `size` bytes, then `paddingOf(size)`. */
export interface Member extends MemberName {
  size: number;
  /** The byte at which the member begins, extension headers included: reading can start there. */
  start: number;
}

const MOST_EXTENSIONS = 64;
const NO_DATA = '123456'; // links, devices, folders: whatever their size field says
/**
 * The next regular file, or undefined at the end of the archive. Folders, links and devices are passed over, as Python's
 * webdataset does. The reader must stand at a header. Errors are of scope 'shard'.
 */
export async function nextMember(reader: ByteReader, limits: Limits): Promise<Member | undefined> {
  const shard = reader.source.name;
  const fail = (code: ErrorCode, message: string) => new WebDatasetError(code, message, {scope: 'shard', shard});
  let start = reader.position;
  let extensions = 0;
  let longName: Uint8Array | undefined;
  let paxName: Uint8Array | undefined;
  let paxSize: number | undefined;
  for (;;) {
    const offset = reader.position;
    const block = reader.blockNow() ?? (await reader.block());
    if (block === undefined) {
      const message =
        offset === 0 ? 'the file is empty' : `the tar is truncated: it stops at byte ${offset} without an end mark`;
      throw fail('truncated', message);
    }
    if (block[0] === 0 && isZero(block)) {
      if (extensions > 0)
        throw fail('bad-end', `the tar ends at byte ${offset} after a header that announces a member`);
      const second = await reader.block();
      if (second !== undefined && !isZero(second)) {
        throw fail('bad-end', `the tar is damaged: an end mark at byte ${offset} is followed by data`);
      }
      return undefined;
    }
    const header = parseHeader(block, shard, offset);
    if (header.type === 'L' || header.type === 'x' || header.type === 'K' || header.type === 'g') {
      if (header.size > limits.headerBytes) {
        const found = `${header.size} bytes, at most ${limits.headerBytes} are read (limits.headerBytes)`;
        throw fail('header-too-large', `the extended header at byte ${offset} has ${found}`);
      }
      if (++extensions > MOST_EXTENSIONS) {
        throw fail(
          'bad-header',
          `more than ${MOST_EXTENSIONS} extended headers follow each other before byte ${offset}`,
        );
      }
      if (header.type === 'K' || header.type === 'g') {
        // Long link targets do not matter here; global records (pax_global_header of git) say nothing about names or sizes.
        await reader.skip(header.size);
      } else {
        const data = await reader.take(header.size);
        if (header.type === 'L') {
          longName = data;
        } else {
          const records = parsePax(data, shard, offset);
          for (const name of records.keys()) {
            if (name.startsWith('GNU.sparse.'))
              throw fail('unsupported', `the member at byte ${offset} is a sparse file`);
          }
          paxName = records.get('path') ?? paxName;
          const size = records.get('size');
          if (size !== undefined) paxSize = paxNumber(size, shard, offset);
        }
      }
      await reader.skip(paddingOf(header.size));
      continue;
    }
    if (header.type === 'S') throw fail('unsupported', `the member at byte ${offset} is a sparse file`);
    const size = paxSize ?? header.size;
    if (size > Number.MAX_SAFE_INTEGER - offset - 2 * BLOCK)
      throw fail('bad-header', `the member at byte ${offset} has the absurd size ${size}`);
    const long = paxName ?? longName;
    if (long && long.length > limits.nameBytes) {
      const found = `${long.length} bytes, at most ${limits.nameBytes} are read (limits.nameBytes)`;
      throw fail('header-too-large', `the member at byte ${offset} has a name of ${found}`);
    }
    const {name, readable} = long ? decodeName(long) : header;
    // Old tars mark a folder by a slash at the end alone.
    const isFile = (header.type === '0' || header.type === '7') && !name.endsWith('/');
    if (isFile) return {name, readable, size, start};
    if (!NO_DATA.includes(header.type)) await reader.skip(size + paddingOf(size));
    start = reader.position;
    extensions = 0;
    longName = undefined;
    paxName = undefined;
    paxSize = undefined;
  }
}
