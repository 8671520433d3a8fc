// One tar header: POSIX ustar, GNU and old v7, with PAX records; read with suspicion, written so that the same input
// gives the same bytes. Layout: POSIX.1-2017 pax; GNU tar manual, "Basic Tar Format".
import {WebDatasetError} from './errors.ts';

export const BLOCK = 512;
const MOST_PAX_RECORDS = 1000;

/** A parsed header block. `size` is the bytes of data that follow (before padding), `type` the flag as a character. */
export interface TarHeader extends MemberName {
  size: number;
  type: string;
}

/** A member's name. */
export interface MemberName {
  name: string;
  /** False when the name's bytes are not UTF-8; `name` then has replacement characters. */
  readable: boolean;
}

const utf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

/** Decodes a name up to its first NUL, if it has one. */
export function decodeName(bytes: Uint8Array): MemberName {
  let end = 0;
  while (end < bytes.length && bytes[end]! - 1 < 0x7f && bytes[end] !== 0) end++;
  if (end === bytes.length || bytes[end] === 0) return {name: latin1(bytes, end), readable: true};
  const cut = bytes.subarray(0, bytes.includes(0) ? bytes.indexOf(0) : bytes.length);
  try {
    return {name: utf8.decode(cut), readable: true};
  } catch {
    return {name: Buffer.from(cut).toString('utf8'), readable: false};
  }
}

function latin1(bytes: Uint8Array, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('latin1');
}

function bad(shard: string, offset: number, what: string): WebDatasetError {
  return new WebDatasetError('bad-header', `the tar header at byte ${offset} ${what}`, {scope: 'shard', shard});
}

function upToNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Octal text, or GNU's base 256, in bytes from..to; undefined when it is neither, negative, or beyond 2^53. */
function parseNumber(block: Uint8Array, from: number, to: number): number | undefined {
  let value = 0;
  let at = from;
  if (block[at]! & 0x80) {
    if (block[at] !== 0x80) return undefined; // negative, or beyond 2^88
    while (++at < to) value = value * 256 + block[at]!;
    return Number.isSafeInteger(value) ? value : undefined;
  }
  while (at < to && block[at] === 0x20) at++;
  for (; at < to; at++) {
    const digit = block[at]! - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; at < to; at++) if (block[at] !== 0 && block[at] !== 0x20) return undefined;
  return value;
}

/** Whether a block is zeros only: the end of the archive. */
export function isZero(block: Uint8Array): boolean {
  for (let at = 0; at < BLOCK; at++) if (block[at] !== 0) return false;
  return true;
}

/** Parses a block that is not zero; throws 'bad-checksum' or 'bad-header' (scope 'shard': what follows cannot be found). */
export function parseHeader(block: Uint8Array, shard: string, offset: number): TarHeader {
  let sum = 8 * 0x20;
  let high = 0; // bytes above 127: some old writers summed signed bytes
  for (let at = 0; at < BLOCK; at++) {
    if (at === 148) at = 156;
    const byte = block[at]!;
    sum += byte;
    high += byte >> 7;
  }
  const stated = parseNumber(block, 148, 156);
  if (stated === undefined || (stated !== sum && stated !== sum - 256 * high)) {
    const what = offset === 0 ? 'this is not a tar file, or its' : 'the tar is damaged: its';
    throw new WebDatasetError('bad-checksum', `${what} header at byte ${offset} has a wrong checksum`, {
      scope: 'shard',
      shard,
    });
  }
  const size = parseNumber(block, 124, 136);
  if (size === undefined) throw bad(shard, offset, 'has a size that is not a number in range');
  const flag = block[156]!;
  const type = flag === 0 ? '0' : String.fromCharCode(flag);
  const posix = block[257] === 0x75 && block[258] === 0x73 && block[261] === 0x72 && block[262] === 0; // 'us..r\0'
  const short = block.subarray(0, 100);
  if (!posix || block[345] === 0) return {...decodeName(short), size, type};
  return {
    ...decodeName(Buffer.concat([upToNul(block.subarray(345, 500)), Buffer.from('/'), upToNul(short)])),
    size,
    type,
  };
}

/** The records of a PAX header ("LENGTH KEY=VALUE\n"), values as bytes. Throws 'bad-header'. */
export function parsePax(data: Uint8Array, shard: string, offset: number): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  for (let at = 0; at < data.length; ) {
    if (data[at] === 0) break; // padding within the size: seen in the wild
    const space = data.indexOf(0x20, at);
    const digits = space < 0 || space - at > 8 ? '' : Buffer.from(data.subarray(at, space)).toString('latin1');
    const end = at + Number(digits);
    const equals = data.indexOf(0x3d, space);
    if (!/^[1-9]\d*$/.test(digits) || end > data.length || data[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw bad(shard, offset, 'has a malformed PAX record');
    }
    if (records.size >= MOST_PAX_RECORDS) throw bad(shard, offset, `has more than ${MOST_PAX_RECORDS} PAX records`);
    records.set(Buffer.from(data.subarray(space + 1, equals)).toString('utf8'), data.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** A number in a PAX record. Throws 'bad-header'. */
export function paxNumber(value: Uint8Array, shard: string, offset: number): number {
  const text = Buffer.from(value).toString('latin1');
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw bad(shard, offset, `has a PAX size that is not a number in range: ${JSON.stringify(text.slice(0, 40))}`);
}

export interface HeaderFields {
  /** Owner's permissions and so on, as in chmod. */
  mode: number;
  /** Seconds since 1970. */
  mtime: number;
}

function headerBlock(
  name: Uint8Array,
  prefix: Uint8Array,
  size: number,
  type: string,
  fields: HeaderFields,
): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number) => block.set(Buffer.from(text, 'latin1'), at);
  const octal = (value: number, at: number, width: number) => put(value.toString(8).padStart(width - 1, '0'), at);
  block.set(name, 0);
  octal(fields.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(fields.mtime, 136, 12);
  put('        ', 148);
  put(type, 156);
  put('ustar\x0000', 257);
  octal(0, 329, 8);
  octal(0, 337, 8);
  block.set(prefix, 345);
  put(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return block;
}

/** The header of a file: one ustar block, preceded by a PAX header when the name is long or not ASCII. */
export function encodeHeader(name: string, size: number, fields: HeaderFields): Uint8Array[] {
  const bytes = Buffer.from(name, 'utf8');
  const none = new Uint8Array(0);
  const ascii = bytes.length === name.length;
  if (ascii && bytes.length <= 100) return [headerBlock(bytes, none, size, '0', fields)];
  if (ascii && bytes.length <= 256) {
    // The shortest prefix that leaves at most 100 characters.
    const slash = name.indexOf('/', name.length - 101);
    if (slash > 0 && slash <= 155 && slash < name.length - 1) {
      return [headerBlock(bytes.subarray(slash + 1), bytes.subarray(0, slash), size, '0', fields)];
    }
  }
  const rest = Buffer.concat([Buffer.from(' path='), bytes, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  const record = Buffer.concat([Buffer.from(String(length)), rest]);
  const short = Buffer.from(name.replace(/[^\x20-\x7e]/g, '_').slice(-100), 'latin1');
  return [
    headerBlock(Buffer.from('././@PaxHeader'), none, record.length, 'x', fields),
    padded(record),
    headerBlock(short, none, size, '0', fields),
  ];
}

/** Bytes from the end of `size` bytes of data to the next block. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function padded(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + paddingOf(data.length));
  out.set(data);
  return out;
}
