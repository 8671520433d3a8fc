// Where TensorFlow.js's own specs are blind: rank 5, large shapes, 3-D, strided and dilated convolutions with gradients, and
// the gradients TensorFlow.js lacks, against values from PyTorch (fixtures/generate.py) or the cpu backend.
import {readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import {beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../src/built.ts';
import {difference, ramp, valueAndGradients} from './support.ts';

interface Fixture {
  y: number[];
  shape?: number[];
  [gradient: string]: number[] | undefined;
}
const fixtures = JSON.parse(readFileSync(new URL('fixtures/pytorch.json', import.meta.url), 'utf8')) as Record<
  string,
  Fixture
>;

/** The batched product in float64; a batch of one serves all. */
function productOf(a: tf.Tensor3D, b: tf.Tensor3D): {shape: number[]; values: Float64Array} {
  const [[countA, m, k], [countB, , n]] = [a.shape, b.shape];
  const count = countA === 1 ? countB : countA;
  const [left, right, values] = [a.dataSync(), b.dataSync(), new Float64Array(count * m * n)];
  for (let at = 0; at < values.length; at++) {
    const [batch, row, column] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
    const [fromA, fromB] = [(batch % countA) * m * k + row * k, (batch % countB) * k * n + column];
    for (let i = 0; i < k; i++) values[at]! += left[fromA + i]! * right[fromB + i * n]!;
  }
  return {shape: [count, m, n], values};
}

describe.skipIf(!isBuilt())('kernels (need the addon: npm run build:torch)', () => {
  beforeAll(async () => {
    await import('../src/index.ts');
    await tf.setBackend('torch');
  });

  /** Compares a function's value and gradients with the named fixture's, in order. */
  function check<T extends tf.Tensor>(name: string, f: (...inputs: T[]) => tf.Tensor, inputs: T[]): void {
    tf.tidy(() => {
      const fixture = fixtures[name]!;
      const expected = [
        fixture.y,
        ...Object.keys(fixture)
          .filter(key => key.startsWith('d'))
          .map(key => fixture[key]!),
      ];
      const actual = valueAndGradients(f, inputs);
      expect(actual.length).toBeGreaterThanOrEqual(expected.length);
      expected.forEach((values, i) => {
        expect(difference(actual[i]!, values), `result ${i}`).toBeLessThan(1e-5);
      });
    });
  }

  test('conv3d, causal in time by padding, with gradients', () => {
    check<tf.Tensor5D>(
      'conv3d',
      (x, w) =>
        tf.conv3d(
          tf.pad(x, [
            [0, 0],
            [1, 1],
            [0, 1],
            [1, 1],
            [0, 0],
          ]) as tf.Tensor5D,
          w,
          1,
          'valid',
        ),
      [ramp([1, 3, 4, 5, 2], 1), ramp([3, 2, 3, 2, 3], 2)],
    );
  });
  test("conv3d, stride 2, 'same', with gradients", () => {
    check<tf.Tensor5D>('conv3d strided', (x, w) => tf.conv3d(x, w, 2, 'same'), [
      ramp([2, 4, 5, 5, 2], 1),
      ramp([3, 3, 3, 2, 2], 2),
    ]);
  });
  test('conv3d, dilated, with gradients', () => {
    check<tf.Tensor5D>('conv3d dilated', (x, w) => tf.conv3d(x, w, 1, 'same', 'NDHWC', [2, 2, 2]), [
      ramp([1, 5, 6, 6, 2], 1),
      ramp([2, 3, 3, 2, 2], 2),
    ]);
  });
  test('conv3d (3,1,1) over time, with gradients', () => {
    check<tf.Tensor5D>('conv3d temporal', (x, w) => tf.conv3d(x, w, 1, 'same'), [
      ramp([2, 5, 3, 3, 4], 1),
      ramp([3, 1, 1, 4, 4], 2),
    ]);
  });
  test('conv2d, dilated, with gradients', () => {
    check<tf.Tensor4D>('conv2d dilated', (x, w) => tf.conv2d(x, w, 1, 'same', 'NHWC', 2), [
      ramp([2, 7, 6, 3], 1),
      ramp([3, 3, 3, 2], 2),
    ]);
  });
  test('conv2d, stride 2, uneven padding, with gradients', () => {
    check<tf.Tensor4D>('conv2d strided', (x, w) => tf.conv2d(x, w, 2, 'same'), [
      ramp([2, 8, 7, 3], 1),
      ramp([3, 3, 3, 4], 2),
    ]);
  });
  test('rank 5: transpose, sum, softmax with gradient', () => {
    const shape = [2, 3, 4, 5, 2];
    check('transpose rank 5', x => tf.transpose(x, [0, 2, 1, 4, 3]), [ramp(shape, 1)]);
    check('sum rank 5', x => tf.sum(x, [1, 3]), [ramp(shape, 1)]);
    check('softmax rank 5', x => tf.softmax(x), [ramp(shape, 1)]);
  });
  test('einsum with gradients', () => {
    check('einsum', (a, b) => tf.einsum('bij,jik->bk', a, b), [ramp([3, 4, 5], 1), ramp([5, 4, 2], 2)]);
    check('einsum with a label of one operand', (a, b) => tf.einsum('bij,ik->bk', a, b), [
      ramp([2, 3, 4], 1),
      ramp([3, 5], 2),
    ]);
  });
  test('stridedSlice with gradient', () => {
    check('stridedSlice', x => tf.stridedSlice(x, [0, 1, 0], [2, 7, 6], [1, 2, 3]), [ramp([2, 7, 6], 1)]);
  });
  test('stridedSlice backwards: gradient is dy at the places read', () => {
    tf.tidy(() => {
      const dx = tf.grad(x => tf.stridedSlice(x, [4], [0], [-2]))(tf.tensor1d([1, 2, 3, 4, 5]), tf.tensor1d([10, 20]));
      expect(Array.from(dx.dataSync())).toEqual([0, 0, 20, 0, 10]);
    });
  });
  test('depthToSpace: its gradient is its inverse', () => {
    tf.tidy(() => {
      for (const format of ['NHWC', 'NCHW'] as const) {
        const x = ramp<tf.Tensor4D>(format === 'NHWC' ? [2, 3, 2, 8] : [2, 8, 3, 2], 1);
        const dx = tf.grad(v => tf.depthToSpace(v as tf.Tensor4D, 2, format))(x, tf.depthToSpace(x, 2, format));
        expect(difference(dx, x)).toBe(0);
      }
    });
  });
  test('conv3dTranspose: gradients by linearity', () => {
    tf.tidy(() => {
      const [x, w] = [ramp<tf.Tensor5D>([1, 2, 3, 3, 2], 1), ramp<tf.Tensor5D>([3, 3, 3, 4, 2], 2)];
      const f = (a: tf.Tensor5D, b: tf.Tensor5D) => tf.conv3dTranspose(a, b, [1, 4, 6, 6, 4], 2, 'same');
      const [y, dx, dw] = valueAndGradients(f, [x, w]) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const total = tf.sum(tf.mul(y, ramp(y.shape, 3))).dataSync()[0]!;
      // f is linear in each argument, so <dx, x> = <dw, w> = the loss.
      expect(tf.sum(tf.mul(dx, x)).dataSync()[0]).toBeCloseTo(total, 2);
      expect(tf.sum(tf.mul(dw, w)).dataSync()[0]).toBeCloseTo(total, 2);
    });
  });
  test.each([
    ['a row', [1, 1, 40], [1, 40, 24], 1],
    ['a column', [1, 40, 24], [1, 24, 1], 1],
    ['nothing to sum', [1, 3, 0], [1, 0, 2], 1],
    ['no matrices', [0, 3, 4], [0, 4, 2], 1],
    ['no matrices by one', [0, 3, 4], [1, 4, 2], 1],
    ['batches', [5, 7, 19], [5, 19, 3], 1],
    ['many by one', [5, 7, 19], [1, 19, 3], 1],
    ['one by many', [1, 7, 19], [5, 19, 3], 1],
    ['fewer batches than threads, all on each', [2, 330, 310], [2, 310, 340], 3],
    ['more batches than threads', [7, 130, 210], [7, 210, 140], 3],
  ] as const)('products, transposed and not: %s', async (_, left, right, threads) => {
    const {setThreads, torchInfo} = await import('../src/index.ts');
    const before = torchInfo();
    setThreads(threads);
    tf.tidy(() => {
      const [a, b] = [ramp<tf.Tensor3D>([...left], 1), ramp<tf.Tensor3D>([...right], 2)];
      const expected = productOf(a, b);
      const turned = (x: tf.Tensor3D) => tf.transpose(x, [0, 2, 1]);
      for (const [transposeA, transposeB] of [
        [false, false],
        [true, false],
        [false, true],
        [true, true],
      ] as const) {
        const y = tf.matMul(transposeA ? turned(a) : a, transposeB ? turned(b) : b, transposeA, transposeB);
        expect(y.shape).toEqual(expected.shape);
        expect(difference(y, expected.values)).toBeLessThan(2e-6);
      }
    });
    setThreads(before.threads, before.blasThreads || before.threads);
  });
  test('large shapes: 2^25 elements summed, a 768 x 1536 x 768 product, a concat of 4 M elements', () => {
    tf.tidy(() => {
      expect(tf.sum(tf.fill([8, 1024, 4096], 0.5)).dataSync()[0]).toBe(2 ** 24);
      const product = tf.matMul(tf.fill([768, 1536], 0.5) as tf.Tensor2D, tf.fill([1536, 768], 2) as tf.Tensor2D);
      expect([tf.min(product).dataSync()[0], tf.max(product).dataSync()[0]]).toEqual([1536, 1536]);
      const joined = tf.concat([tf.fill([1024, 2048], 1), tf.fill([1024, 2048], 3)], 1);
      expect(tf.mean(joined).dataSync()[0]).toBe(2);
      expect(tf.slice(joined, [1023, 4095], [1, 1]).dataSync()[0]).toBe(3);
    });
  });
  test('a training step makes no host write of more than one element', async () => {
    const {engineStats} = await import('../src/index.ts');
    const [w, v] = [tf.variable(ramp([3, 3, 4, 4], 1)), tf.variable(ramp([4], 2))];
    const x = ramp<tf.Tensor4D>([2, 8, 8, 4], 3);
    const {mul, mean, square} = tf;
    const step = () =>
      tf.tidy(() => {
        const {grads} = tf.variableGrads(() =>
          mean(square(mul(tf.relu(tf.add(tf.conv2d(x, w as tf.Tensor4D, 1, 'same'), v)), 2))),
        );
        for (const variable of [w, v]) variable.assign(tf.sub(variable, mul(grads[variable.name]!, 0.01)));
      });
    step();
    const before = engineStats();
    step();
    const after = engineStats();
    expect(after.hostWrites - before.hostWrites).toBe(0);
    expect(after.hostReads - before.hostReads).toBe(0);
    expect(after.adapterCalls - before.adapterCalls).toBe(0);
    tf.dispose([w, v, x]);
  });
});
