import {describe, expect, test} from 'vitest';
import {bf16ToF32, f16ToF32, f32ToBf16, f32ToF16} from '../../src/weights/half.ts';

const every = Uint16Array.from({length: 0x10000}, (_, i) => i);
const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;
const fromBits = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0]!;

/** The value of F16 bits by the definition of IEEE 754 binary16. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 0x3ff;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
}

describe('F16', () => {
  test('every half has its value, and comes back with the same bits', () => {
    const values = f16ToF32(every);
    for (const bits of every) if (!Object.is(values[bits], halfValue(bits))) throw new Error(`half ${bits}`);
    const back = f32ToF16(values);
    for (const bits of every) {
      const nan = (bits & 0x7fff) > 0x7c00;
      if (back[bits] !== (nan ? bits | 0x200 : bits)) throw new Error(`half ${bits} came back as ${back[bits]}`);
    }
  });

  test('rounds to nearest even at and beside every midpoint between neighbours, both signs', () => {
    for (let low = 0; low < 0x7c00; low++) {
      // Above the largest half, infinity stands where 2^16 would be.
      const above = low + 1 === 0x7c00 ? 2 ** 16 : halfValue(low + 1);
      const middle = bitsOf((halfValue(low) + above) / 2);
      const cases = [middle - 1, middle, middle + 1];
      const wanted = [low, low + (low & 1), low + 1];
      for (const sign of [0, 0x80000000]) {
        const got = f32ToF16(Float32Array.from(cases, bits => fromBits(bits | sign)));
        for (let i = 0; i < 3; i++) {
          if (got[i] !== (wanted[i]! | (sign >>> 16))) throw new Error(`${cases[i]} gave ${got[i]}, not ${wanted[i]}`);
        }
      }
    }
  });

  test('the smallest, the largest and what lies beyond', () => {
    const values = [0, -0, 2 ** -149, 2 ** -25, 2 ** -24, 65504, 65519.99, 65520, 1e38, -Infinity, Number.NaN];
    const got = [...f32ToF16(Float32Array.from(values))];
    expect(got).toEqual([0, 0x8000, 0, 0, 1, 0x7bff, 0x7bff, 0x7c00, 0x7c00, 0xfc00, 0x7e00]);
  });
});

describe('BF16', () => {
  test('every value comes back with the same bits', () => {
    const values = bf16ToF32(every);
    const back = f32ToBf16(values);
    for (const bits of every) {
      // A NaN may be made quiet on its way through a number.
      const quiet = Number.isNaN(values[bits]) ? bits | 0x40 : bits;
      if (bitsOf(values[bits]!) >>> 16 !== quiet || back[bits] !== quiet) throw new Error(`${bits}: ${back[bits]}`);
    }
  });

  test('rounds to nearest even at and beside every midpoint', () => {
    for (let low = 0; low < 0x7f80; low++) {
      const middle = (low << 16) | 0x8000;
      const got = f32ToBf16(Float32Array.from([middle - 1, middle, middle + 1], bits => fromBits(bits)));
      const wanted = [low, low + (low & 1), low + 1];
      for (let i = 0; i < 3; i++) if (got[i] !== wanted[i]) throw new Error(`${middle} ${i}: ${got[i]}`);
    }
  });
});
