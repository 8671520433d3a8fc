// A line of ASCII text in a picture's or video's own metadata, and back out of any of the formats that are written here.
import {closeSync, fstatSync, openSync, readSync} from 'node:fs';
import {crc32} from 'node:zlib';

const MAX_COMMENT = 1 << 20;
const READ_AT_ONCE = 1 << 22;

/** An XMP packet whose description is `comment`, which must not hold `<`, `>` or `&`. */
export function xmp(comment: string): string {
  return `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">${comment}</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>`;
}

/** GIF89a with a comment extension before its trailer: blocks of at most 255 bytes, each after its length. */
export function gifWithComment(gif: Uint8Array, comment: string): Uint8Array {
  if (gif.at(-1) !== 0x3b) throw new Error('A GIF must end with its trailer.');
  const text = Buffer.from(comment, 'latin1');
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < text.length; at += 255) {
    const block = text.subarray(at, at + 255);
    blocks.push(Uint8Array.of(block.length), block);
  }
  return Buffer.concat([gif.subarray(0, -1), Uint8Array.of(0x21, 0xfe), ...blocks, Uint8Array.of(0, 0x3b)]);
}

/** A PNG with a tEXt chunk "Comment" before its end. */
export function pngWithText(png: Uint8Array, comment: string): Uint8Array {
  const end = png.length - 12;
  const body = Buffer.concat([Buffer.from('tEXtComment\0', 'latin1'), Buffer.from(comment, 'latin1')]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length - 4);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([png.subarray(0, end), head, body, check, png.subarray(end)]);
}

/**
 * The JSON object that follows `marker` in a file that was written with the comment `marker` + JSON, as text; undefined
 * where there is none. Whatever the container, the text lies in one piece, but for GIF, whose blocks are joined.
 */
export function findComment(file: string, marker: string): string | undefined {
  const handle = openSync(file, 'r');
  try {
    const {size} = fstatSync(handle);
    const overlap = marker.length;
    const chunk = Buffer.alloc(READ_AT_ONCE);
    for (let at = 0; at < size; at += READ_AT_ONCE - overlap) {
      const read = readSync(handle, chunk, 0, READ_AT_ONCE, at);
      const found = chunk.subarray(0, read).indexOf(marker, 0, 'latin1');
      if (found < 0) continue;
      const start = Math.max(0, at + found - 1);
      const text = Buffer.alloc(Math.min(MAX_COMMENT, size - start));
      readSync(handle, text, 0, text.length, start);
      const isGif = header(handle) === 'GIF89a';
      return balanced(
        (isGif ? joined(text) : text.subarray(at + found - start)).toString('latin1').slice(marker.length),
      );
    }
    return undefined;
  } finally {
    closeSync(handle);
  }
}

function header(handle: number): string {
  const start = Buffer.alloc(6);
  readSync(handle, start, 0, 6, 0);
  return start.toString('latin1');
}

/** GIF's blocks from the first one's length on. */
function joined(blocks: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < blocks.length && blocks[at] !== 0; at += 1 + blocks[at]!)
    parts.push(blocks.subarray(at + 1, at + 1 + blocks[at]!));
  return Buffer.concat(parts);
}

/** Text up to the brace that closes its first one, strings skipped. */
function balanced(text: string): string | undefined {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{') depth++;
    else if (c === '}' && --depth === 0) return text.slice(0, i + 1);
  }
  return undefined;
}
