// A WebAssembly assembler as small as the need: functions that walk the rows of channels-last arrays four floats at a time,
// over another module's memory. Loops in JavaScript take 5 to 20 times longer and there is no compiler to rely on.
// Opcodes: WebAssembly core specification 2.0, chapter 5.

/** Instructions that leave one value on the stack, or none for a statement. */
export type Code = number[];

function unsigned(n: number): Code {
  const bytes: Code = [];
  let rest = n;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

function signed(n: number): Code {
  const bytes: Code = [];
  for (let rest = n; ; rest >>= 7) {
    const low = rest & 0x7f;
    const last = (rest >> 7 === 0 && (low & 0x40) === 0) || (rest >> 7 === -1 && (low & 0x40) !== 0);
    bytes.push(last ? low : low | 0x80);
    if (last) return bytes;
  }
}

const sized = (content: Code): Code => [...unsigned(content.length), ...content];
const listOf = (items: Code[]): Code => [...unsigned(items.length), ...items.flat()];
const text = (s: string): Code => sized([...new TextEncoder().encode(s)]);
const I32 = 0x7f;
const V128 = 0x7b;

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
const i32 = (n: number): Code => [0x41, ...signed(n)];
const i32add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];

const simd = (opcode: number, ...operands: Code[]): Code => [...operands.flat(), 0xfd, ...unsigned(opcode)];
/** Four copies of a number. */
export function splat(x: number): Code {
  const bytes = new Uint8Array(Float32Array.of(x, x, x, x).buffer);
  return [0xfd, 0x0c, ...bytes];
}
export const load = (address: Code): Code => [...simd(0x00, address), 2, 0];
export const store = (address: Code, value: Code): Code => [...simd(0x0b, address, value), 2, 0];
export const add = (a: Code, b: Code): Code => simd(0xe4, a, b);
export const sub = (a: Code, b: Code): Code => simd(0xe5, a, b);
export const mul = (a: Code, b: Code): Code => simd(0xe6, a, b);
export const div = (a: Code, b: Code): Code => simd(0xe7, a, b);
export const min = (a: Code, b: Code): Code => simd(0xe8, a, b);
export const max = (a: Code, b: Code): Code => simd(0xe9, a, b);
export const abs = (a: Code): Code => simd(0xe0, a);
export const sqrt = (a: Code): Code => simd(0xe3, a);
export const nearest = (a: Code): Code => simd(0x6a, a);
/** 2^k for whole k in [-126, 127]: the exponent's bits. */
export const powerOfTwo = (k: Code): Code => [...simd(0xf8, add(k, splat(127))), ...i32(23), 0xfd, ...unsigned(0xab)];
/** The magnitude of a with the sign of b. */
export function copySign(a: Code, b: Code): Code {
  const signs = splat(-0);
  return simd(0x50, simd(0x4f, a, signs), simd(0x4e, b, signs));
}

/** Addresses of the current four elements, and locals of four floats, for a kernel's body. */
export interface Place {
  rows: Record<string, Code>;
  vectors: Record<string, Code>;
  temp: (i: number) => number;
}

export interface RowKernel {
  /** Arrays of rows x channels. */
  rows: readonly string[];
  /** Arrays of one row's channels, met again in every row. */
  vectors: readonly string[];
  /** Arrays whose rows are twice as long, and of which each row's second half is passed over. */
  halves?: readonly string[];
  temps: number;
  /** Statements for four elements. */
  body: (at: Place) => Code;
}

/**
 * A function (rows, bytesPerRow, ...row pointers, ...vector pointers); bytesPerRow is a positive multiple of 16 and there is
 * at least one row.
 */
function assemble({rows, vectors, halves = [], temps, body}: RowKernel): {parameters: number; code: Code} {
  const parameters = 2 + rows.length + vectors.length;
  const offset = parameters;
  const pointer = (i: number) => 2 + i;
  const at: Place = {
    rows: Object.fromEntries(rows.map((name, i) => [name, get(pointer(i))])),
    vectors: Object.fromEntries(vectors.map((name, i) => [name, i32add(get(pointer(rows.length + i)), get(offset))])),
    temp: i => parameters + 1 + i,
  };
  const perChannels = [
    ...body(at),
    ...rows.flatMap((_, i) => set(pointer(i), i32add(get(pointer(i)), i32(16)))),
    ...set(offset, i32add(get(offset), i32(16))),
  ];
  const code = [
    ...[0x03, 0x40],
    ...set(offset, i32(0)),
    ...[0x03, 0x40, ...perChannels, ...get(offset), ...get(1), 0x49, 0x0d, 0, 0x0b],
    ...rows.flatMap((name, i) => (halves.includes(name) ? set(pointer(i), i32add(get(pointer(i)), get(1))) : [])),
    // rows -= 1, kept on the stack as the condition.
    ...[...i32add(get(0), i32(-1)), 0x22, 0, 0x0d, 0, 0x0b],
    0x0b,
  ];
  const locals = listOf([
    [1, I32],
    [...unsigned(temps), V128],
  ]);
  return {parameters, code: sized([...locals, ...code])};
}

/** A module of row kernels that imports its memory as `env.memory`. */
export function assembleModule(kernels: Record<string, RowKernel>): Uint8Array<ArrayBuffer> {
  const functions = Object.entries(kernels).map(([name, kernel]) => ({name, ...assemble(kernel)}));
  const section = (id: number, items: Code[]): Code => [id, ...sized(listOf(items))];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      functions.map(({parameters}) => [0x60, ...listOf(Array.from({length: parameters}, () => [I32])), 0]),
    ),
    ...section(2, [[...text('env'), ...text('memory'), 0x02, 0, 1]]),
    ...section(
      3,
      functions.map((_, i) => unsigned(i)),
    ),
    ...section(
      7,
      functions.map(({name}, i) => [...text(name), 0, ...unsigned(i)]),
    ),
    ...section(
      10,
      functions.map(({code}) => code),
    ),
  ]);
}
