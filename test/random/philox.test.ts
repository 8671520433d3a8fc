import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {
  fillNormals,
  integers,
  normals,
  permutation,
  philox4x32,
  type RandomAt,
  streamOf,
  streams,
  uniforms,
} from '../../src/random/index.ts';

const at: RandomAt = {seed: 1234, stream: 'noise', step: 7};
const bytesHash = (data: ArrayBufferView) =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')
    .slice(0, 16);

describe('philox4x32-10', () => {
  // Known answers published with the Random123 library (kat_vectors).
  test.each([
    ['zeros', [0, 0], [0, 0, 0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [
      'ones',
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      '408f276d 41c83b0e a20bc7c6 6d5451fd',
    ],
    [
      'pi',
      [0xa4093822, 0x299f31d0],
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    ],
  ])('known answer: %s', (_name, key, counter, expected) => {
    const out = new Uint32Array(4);
    philox4x32(key[0]!, key[1]!, counter[0]!, counter[1]!, counter[2]!, counter[3]!, out);
    expect([...out].map(word => word.toString(16).padStart(8, '0')).join(' ')).toBe(expected);
  });

  test('agrees with exact integer arithmetic on random blocks', () => {
    const exact = (key: bigint[], counter: bigint[]) => {
      let [c0, c1, c2, c3] = counter as [bigint, bigint, bigint, bigint];
      let [k0, k1] = key as [bigint, bigint];
      for (let round = 0; round < 10; round++) {
        const p0 = 0xd2511f53n * c0;
        const p1 = 0xcd9e8d57n * c2;
        [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & 0xffffffffn, (p0 >> 32n) ^ c3 ^ k1, p0 & 0xffffffffn];
        k0 = (k0 + 0x9e3779b9n) & 0xffffffffn;
        k1 = (k1 + 0xbb67ae85n) & 0xffffffffn;
      }
      return [c0, c1, c2, c3].map(Number);
    };
    const words = uniforms({seed: 5, stream: 0, step: 0}, 6 * 2000).map(u => Math.floor(u * 2 ** 24));
    const out = new Uint32Array(4);
    for (let i = 0; i < 2000; i++) {
      const w = [...words.slice(6 * i, 6 * i + 6)].map((word, j) => (word * 257 + j * 0x9e3779b9) >>> 0);
      philox4x32(w[0]!, w[1]!, w[2]!, w[3]!, w[4]!, w[5]!, out);
      const big = w.map(BigInt);
      expect([...out]).toEqual(exact(big.slice(0, 2), big.slice(2)));
    }
  });
});

describe('draws', () => {
  test('any range equals the same range of one long draw', () => {
    const long = {u: uniforms(at, 9000), n: normals(at, 9000), i: integers(at, 9000, 1000)};
    for (const [offset, count] of [
      [0, 1],
      [1, 1],
      [1, 6],
      [3, 2],
      [5, 4096],
      [2047, 3],
      [2050, 2],
      [4095, 4905],
      [10, 0],
    ] as const) {
      const part = {...at, offset};
      expect(uniforms(part, count)).toEqual(long.u.slice(offset, offset + count));
      expect(normals(part, count)).toEqual(long.n.slice(offset, offset + count));
      expect(integers(part, count, 1000)).toEqual(long.i.slice(offset, offset + count));
    }
  });

  test('seed, stream and step each change everything; far steps, seeds and offsets are distinct', () => {
    const places: RandomAt[] = [
      at,
      {...at, seed: 1235},
      {...at, seed: 1234 + 2 ** 32},
      {...at, stream: 'timesteps'},
      {...at, stream: streamOf('a.weight')},
      {...at, stream: 1 + 2 ** 32},
      {...at, step: 8},
      {...at, step: 2 ** 32 - 1},
      {...at, offset: 2 ** 34 - 4096},
    ];
    expect(new Set(places.map(place => bytesHash(normals(place, 64)))).size).toBe(places.length);
  });

  test('uniforms are multiples of 2^-24 in [0, 1) with the right mean and variance', () => {
    const u = uniforms(at, 1 << 20);
    let sum = 0;
    let squares = 0;
    for (const value of u) {
      if (!(value >= 0 && value < 1) || !Number.isInteger(value * 2 ** 24)) throw new Error(`${value}`);
      sum += value;
      squares += value * value;
    }
    expect(sum / u.length).toBeCloseTo(0.5, 2);
    expect(squares / u.length - (sum / u.length) ** 2).toBeCloseTo(1 / 12, 3);
  });

  test('normals have the moments and tails of the normal distribution', () => {
    const n = 1 << 21;
    const z = normals(at, n);
    const moments = [0, 0, 0, 0];
    let beyond3 = 0;
    let neighbours = 0;
    for (let i = 0; i < n; i++) {
      const v = z[i]!;
      for (let k = 0; k < 4; k++) moments[k]! += v ** (k + 1) / n;
      if (Math.abs(v) > 3) beyond3++;
      if (i > 0) neighbours += (v * z[i - 1]!) / n;
    }
    expect(Math.abs(moments[0]!)).toBeLessThan(0.003);
    expect(Math.abs(moments[1]! - 1)).toBeLessThan(0.005);
    expect(Math.abs(moments[2]!)).toBeLessThan(0.01);
    expect(Math.abs(moments[3]! - 3)).toBeLessThan(0.03);
    expect(beyond3 / n).toBeCloseTo(0.0027, 3);
    expect(Math.abs(neighbours)).toBeLessThan(0.003);
  });

  test('normals are Box-Muller of the words', () => {
    const n = 1 << 16;
    const z = normals(at, n);
    const words = new Uint32Array(4);
    let rounded = 0;
    for (let block = 0; block < n / 4; block++) {
      philox4x32(at.seed, 0, block, at.step, streams.noise, 0, words);
      for (let pair = 0; pair < 2; pair++) {
        const r = Math.sqrt(-2 * Math.log((words[2 * pair]! + 1) / 2 ** 32));
        const t = (2 * Math.PI * words[2 * pair + 1]!) / 2 ** 32;
        const wanted = [r * Math.cos(t), r * Math.sin(t)];
        for (let k = 0; k < 2; k++) {
          const got = z[4 * block + 2 * pair + k]!;
          // The angle itself is rounded to 2^-51 in the check above.
          expect(Math.abs(got - wanted[k]!)).toBeLessThan(6e-8 * Math.abs(wanted[k]!) + 4e-15);
          if (got !== Math.fround(wanted[k]!)) rounded++;
        }
      }
    }
    expect(rounded).toBeLessThan(10);
  });

  test('extreme words give finite normals', async () => {
    const {boxMuller} = await import('../../src/random/box_muller.ts');
    const extremes = [0, 1, 0x1fffffff, 0x20000000, 0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff];
    const words = new Uint32Array(2);
    const out = new Float64Array(2);
    for (const a of extremes) {
      for (const b of extremes) {
        words.set([a, b]);
        boxMuller(words, 0, out, 0, 2);
        const r = Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32));
        const t = (2 * Math.PI * b) / 2 ** 32;
        expect(Math.abs(out[0]! - r * Math.cos(t))).toBeLessThan(1e-14);
        expect(Math.abs(out[1]! - r * Math.sin(t))).toBeLessThan(1e-14);
      }
    }
  });

  test('integers are even and in range; the largest bound works', () => {
    const counts = new Uint32Array(10);
    for (const value of integers(at, 100_000, 10)) counts[value]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    for (const value of integers(at, 1000, 2 ** 31)) expect(value).toBeGreaterThanOrEqual(0);
    expect(() => integers(at, 1, 0)).toThrow('"below"');
  });

  test('permutation holds every number once and has no favourite', () => {
    const order = permutation({seed: 3, stream: 'shuffle', step: 0}, 5000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({length: 5000}, (_, i) => i));
    const first = new Uint32Array(5);
    for (let epoch = 0; epoch < 5000; epoch++) {
      first[permutation({seed: 3, stream: 'shuffle', step: epoch}, 5)[0]!]!++;
    }
    for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(permutation(at, 0).length).toBe(0);
    expect([...permutation(at, 1)]).toEqual([0]);
  });

  test('places that are not integers in range are refused by name', () => {
    expect(() => normals({...at, seed: -1}, 1)).toThrow('seed must be an integer');
    expect(() => normals({...at, step: 0.5}, 1)).toThrow('step must be an integer');
    expect(() => normals({...at, stream: 2 ** 52}, 1)).toThrow('stream must be an integer');
    expect(() => normals({...at, offset: 2 ** 34}, 1)).toThrow('offset');
    expect(() => normals(at, -1)).toThrow('count');
  });
});

describe('streams', () => {
  test('numbers are unique, and hashed streams never meet them', () => {
    const numbers = Object.values(streams);
    expect(new Set(numbers).size).toBe(numbers.length);
    const hashed = new Set<number>();
    for (let i = 0; i < 20_000; i++) hashed.add(streamOf(`down_blocks.${i % 7}.resnets.${i}.weight`));
    expect(hashed.size).toBe(20_000);
    for (const stream of hashed) {
      expect(Number.isInteger(stream) && stream >= 2 ** 51 && stream < 2 ** 52).toBe(true);
    }
  });
});

describe('committed vectors', () => {
  // Any engine, machine or version must give these bytes; test/random/vectors.json is their record.
  const vectors: {
    at: RandomAt;
    count: number;
    uniforms: string;
    normals: string;
    first: number[];
    integers: number[];
    permutation: number[];
  }[] = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8'));
  test.each(vectors)('$at', vector => {
    expect(bytesHash(uniforms(vector.at, vector.count))).toBe(vector.uniforms);
    const z = normals(vector.at, vector.count);
    expect([...z.slice(0, vector.first.length)]).toEqual(vector.first.map(Math.fround));
    expect(bytesHash(z)).toBe(vector.normals);
    expect([...integers(vector.at, vector.integers.length, 1000)]).toEqual(vector.integers);
    expect([...permutation(vector.at, vector.permutation.length)]).toEqual(vector.permutation);
    expect(fillNormals(vector.at, new Float32Array(vector.count))).toEqual(z);
  });
});
