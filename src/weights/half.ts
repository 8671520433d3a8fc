// Conversions between float32 and the two 16-bit floats, on whole arrays, rounding to nearest with ties to even.

const SIGN = 0x8000;

/** F16 bits -> float32, exact. */
export function f16ToF32(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  const table = halfTable();
  for (let i = 0; i < source.length; i++) target[i] = table[source[i]!]!;
  return target;
}

/** BF16 bits -> float32, exact. */
export function bf16ToF32(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
  return target;
}

/** float32 -> BF16 bits; NaN stays NaN. */
export function f32ToBf16(source: Float32Array, target = new Uint16Array(source.length)): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) {
    const x = bits[i]!;
    const nan = (x & 0x7fffffff) > 0x7f800000;
    target[i] = nan ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return target;
}

/** float32 -> F16 bits; above 65,504 (after rounding) infinity, below 2^-24 zero, NaN stays NaN. */
export function f32ToF16(source: Float32Array, target = new Uint16Array(source.length)): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) {
    const x = bits[i]!;
    target[i] = ((x >>> 16) & SIGN) | halfOf(x & 0x7fffffff);
  }
  return target;
}

/** F16 magnitude bits of a float32 magnitude. */
function halfOf(a: number): number {
  if (a >= 0x477ff000) return a > 0x7f800000 ? 0x7e00 | ((a >>> 13) & 0x3ff) : 0x7c00;
  if (a >= 0x38800000) return (a - 0x38000000 + 0xfff + ((a >>> 13) & 1)) >>> 13;
  // Subnormal: the mantissa in units of 2^-24.
  const shift = 126 - (a >>> 23);
  if (shift > 24) return 0;
  const m = (a & 0x7fffff) | 0x800000;
  return (m + (1 << (shift - 1)) - 1 + ((m >>> shift) & 1)) >>> shift;
}

let table: Float32Array | undefined;

/** The float32 value of each of the 65,536 halves. */
function halfTable(): Float32Array {
  if (table) return table;
  const values = new Float32Array(0x10000);
  const bits = new Uint32Array(values.buffer);
  for (let h = 0; h < 0x10000; h++) {
    const exponent = (h >>> 10) & 31;
    const mantissa = h & 0x3ff;
    const sign = (h & SIGN) << 16;
    if (exponent === 0) values[h] = (h & SIGN ? -1 : 1) * mantissa * 2 ** -24;
    else bits[h] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13);
  }
  table = values;
  return values;
}
