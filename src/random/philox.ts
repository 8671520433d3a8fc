// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
// Every number is a function of (seed, stream, step, index): no state to save, any range can be drawn alone.
// Only +, -, *, / and sqrt of IEEE doubles are used, so the bytes are the same on every machine and every Node version.
import {boxMuller} from './box_muller.ts';
import {type StreamName, streams} from './streams.ts';

/** Where random numbers are read: element i of a draw is a pure function of (seed, stream, step, offset + i). */
export interface RandomAt {
  /** Integer in [0, 2^53). */
  seed: number;
  /** A registered stream, or a number in [0, 2^52) such as `streamOf(path)`. */
  stream: StreamName | number;
  /** Integer in [0, 2^32). */
  step: number;
  /** Index of the first element, in [0, 2^34); 0 where absent. */
  offset?: number;
}

const WORD = 2 ** 32;
const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;

/** One block: 10 rounds over counter (c0..c3) and key (key0, key1), four 32-bit words into out[at..at+3]. */
export function philox4x32(
  key0: number,
  key1: number,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  out: Uint32Array,
  at = 0,
): void {
  let x0 = c0 | 0;
  let x1 = c1 | 0;
  let x2 = c2 | 0;
  let x3 = c3 | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < 10; round++) {
    const low0 = Math.imul(M0, x0);
    const low1 = Math.imul(M1, x2);
    // The high word: the double product errs by at most 2^10, so (product - low) / 2^32 is within 2^-21 of it.
    const high0 = ((M0 * (x0 >>> 0) - (low0 >>> 0)) / WORD + 0.5) >>> 0;
    const high1 = ((M1 * (x2 >>> 0) - (low1 >>> 0)) / WORD + 0.5) >>> 0;
    x0 = high1 ^ x1 ^ k0;
    x2 = high0 ^ x3 ^ k1;
    x1 = low1;
    x3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[at] = x0;
  out[at + 1] = x1;
  out[at + 2] = x2;
  out[at + 3] = x3;
}

/** Uniform float32 in [0, 1), multiples of 2^-24: identical on every engine. */
export function uniforms(at: RandomAt, count: number): Float32Array {
  return fillUniforms(at, new Float32Array(checked('count', count, WORD)));
}

/** `uniforms` into existing memory. */
export function fillUniforms<T extends Float32Array>(at: RandomAt, target: T): T {
  eachWords(at, target.length, (words, skip, from, n) => {
    for (let i = 0; i < n; i++) target[from + i] = (words[skip + i]! >>> 8) / 0x1000000;
  });
  return target;
}

/** Standard normals: Box-Muller in float64, rounded once to float32. Elements 2j and 2j+1 of a stream are one pair. */
export function normals(at: RandomAt, count: number): Float32Array {
  return fillNormals(at, new Float32Array(checked('count', count, WORD)));
}

/** `normals` into existing memory. */
export function fillNormals<T extends Float32Array>(at: RandomAt, target: T): T {
  eachWords(at, target.length, (words, skip, from, n) => boxMuller(words, skip, target, from, n));
  return target;
}

/** Integers in [0, below), below <= 2^31: floor(word * below / 2^32), whose bias is below / 2^32. */
export function integers(at: RandomAt, count: number, below: number): Int32Array {
  if (!Number.isInteger(below) || below < 1 || below > 2 ** 31) {
    throw new RangeError(`integers: "below" must be an integer from 1 to 2^31, got ${below}.`);
  }
  const target = new Int32Array(checked('count', count, WORD));
  eachWords(at, target.length, (words, skip, from, n) => {
    for (let i = 0; i < n; i++) target[from + i] = Math.floor((words[skip + i]! * below) / WORD);
  });
  return target;
}

/** A permutation of 0..n-1 (Fisher-Yates from the end; word i decides exchange i). */
export function permutation(at: RandomAt, n: number): Uint32Array {
  const order = new Uint32Array(checked('n', n, WORD));
  for (let i = 0; i < n; i++) order[i] = i;
  eachWords(at, Math.max(0, n - 1), (words, skip, from, count) => {
    for (let i = 0; i < count; i++) {
      const last = n - 1 - (from + i);
      const other = Math.floor((words[skip + i]! * (last + 1)) / WORD);
      const kept = order[last]!;
      order[last] = order[other]!;
      order[other] = kept;
    }
  });
  return order;
}

const CHUNK = 2048;

/**
 * The words of elements offset .. offset+count-1, a chunk at a time: words[skip + i] belongs to element from + i of the draw.
 * Counter: (block, step, stream low, stream high); key: (seed low, seed high). Block b holds elements 4b .. 4b+3.
 */
function eachWords(
  at: RandomAt,
  count: number,
  use: (words: Uint32Array, skip: number, from: number, n: number) => void,
): void {
  const stream = typeof at.stream === 'string' ? streams[at.stream] : checked('stream', at.stream, 2 ** 52);
  const seed = checked('seed', at.seed, 2 ** 53);
  const step = checked('step', at.step, WORD);
  const offset = checked('offset', at.offset ?? 0, 4 * WORD);
  checked('offset + count', offset + count, 4 * WORD + 1);
  const words = new Uint32Array(Math.min(CHUNK, Math.ceil((count + 3) / 4) * 4));
  const [key0, key1] = [seed % WORD, Math.floor(seed / WORD)];
  const [c2, c3] = [stream % WORD, Math.floor(stream / WORD)];
  let skip = offset % 4;
  let block = (offset - skip) / 4;
  for (let done = 0; done < count; ) {
    const n = Math.min(count - done, words.length - skip);
    const blocks = Math.ceil((skip + n) / 4);
    for (let b = 0; b < blocks; b++) philox4x32(key0, key1, block + b, step, c2, c3, words, 4 * b);
    use(words, skip, done, n);
    done += n;
    block += blocks;
    skip = 0;
  }
}

function checked(name: string, value: number, below: number): number {
  if (Number.isInteger(value) && value >= 0 && value < below) return value;
  throw new RangeError(`Random numbers: ${name} must be an integer from 0 to ${below - 1}, got ${value}.`);
}
