import {describe, expect, test} from 'vitest';
import {normals, uniforms} from '../../src/random/index.ts';
import {bytesOf} from '../../src/weights/host_tensor.ts';
import {fromTorch, tfShape, torchShape, toTorch, usualLayout, type WeightLayout} from '../../src/weights/layouts.ts';

const sequence = (n: number) => Float32Array.from({length: n}, (_, i) => i);
const product = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

describe('weight layouts', () => {
  test('every element of a kernel lands where torch has it', () => {
    const [kt, kh, kw, ci, co] = [3, 2, 4, 5, 6];
    const values = sequence(kt * kh * kw * ci * co);
    const moved = toTorch(values, [kt, kh, kw, ci, co], 'conv3d');
    for (let t = 0; t < kt; t++)
      for (let h = 0; h < kh; h++)
        for (let w = 0; w < kw; w++)
          for (let i = 0; i < ci; i++)
            for (let o = 0; o < co; o++) {
              const here = (((t * kh + h) * kw + w) * ci + i) * co + o;
              const there = (((o * ci + i) * kt + t) * kh + h) * kw + w;
              expect(moved[there]).toBe(values[here]);
            }
    expect([...toTorch(sequence(6), [2, 3], 'linear')]).toEqual([0, 3, 1, 4, 2, 5]);
    expect([...toTorch(sequence(4), [1, 2, 1, 2], 'conv2d')]).toEqual([0, 2, 1, 3]);
  });

  const cases: [WeightLayout, number[], number[]][] = [
    ['linear', [37, 65], [65, 37]],
    ['conv2d', [3, 3, 33, 70], [70, 33, 3, 3]],
    ['conv3d', [3, 1, 1, 40, 7], [7, 40, 3, 1, 1]],
    ['embedding', [10, 4], [10, 4]],
    ['vector', [9], [9]],
    ['scalar', [], []],
    ['scalar', [8], [8]],
  ];
  test.each(cases)('%s %s: shapes and bytes there and back', (layout, here, there) => {
    expect(torchShape(here, layout)).toEqual(there);
    expect(tfShape(there, layout)).toEqual(here);
    // Every kind of bits, NaN payloads among them.
    const bits = Uint32Array.from(uniforms({seed: 1, stream: 'synthetic', step: 0}, product(here)), u => u * 2 ** 32);
    const values = new Float32Array(bits.buffer);
    const back = fromTorch(toTorch(values, here, layout), here, layout);
    expect(bytesOf(back)).toEqual(bytesOf(values));
    const again = toTorch(fromTorch(values, here, layout), here, layout);
    expect(bytesOf(again)).toEqual(bytesOf(values));
  });

  test("a rank that is not the layout's is refused; usual layouts by rank", () => {
    expect(() => toTorch(normals({seed: 1, stream: 'init', step: 0}, 6), [6], 'linear')).toThrow(
      'linear weight has 2 axes',
    );
    expect([0, 1, 2, 3, 4, 5].map(usualLayout)).toEqual(['scalar', 'vector', 'linear', 'vector', 'conv2d', 'conv3d']);
  });
});
