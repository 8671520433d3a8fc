// What cannot be exported is refused by name, with its caller; dynamic dimensions are fitted or refused.
import '@tensorflow/tfjs-backend-cpu';
import {beforeAll, describe, expect, test} from 'vitest';
import {dimName, fitDim} from '../../src/export/dims.ts';
import {toOnnx} from '../../src/export/index.ts';
import {reshapeBlocks, reshapePerm} from '../../src/export/layout.ts';
import {runOnEngine} from '../../src/export/verify.ts';
import * as tf from '../../src/tf.ts';
import {compare, exportError, normal, runBytes} from './support.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const x = [{name: 'x', shape: [3, 4], dtype: 'float32'}] as const;

function namedCaller(given: Record<string, tf.Tensor>): tf.Tensor {
  return tf.unique(given.x as tf.Tensor1D).values;
}

test('a kernel without an ONNX form is named with its caller', async () => {
  const vector = [{name: 'x', shape: [4], dtype: 'float32'}] as const;
  await expect(toOnnx(namedCaller, vector)).rejects.toThrow(
    /Kernel Unique, called in namedCaller \(export\/errors\.test\.ts:\d+\)/,
  );
});

test('reading a tensor on the host is refused with its caller', async () => {
  const fn = ({x}: Record<string, tf.Tensor>) => (tf.sum(x!).dataSync()[0]! > 0 ? x! : tf.neg(x!));
  await expect(toOnnx(fn, x)).rejects.toThrow(/reads the result of kernel Sum .* on the host, in fn /);
});

test('the engine that was set is set again, also after an error', async () => {
  await expect(toOnnx(namedCaller, x)).rejects.toThrow();
  expect(tf.getBackend()).toBe('cpu');
});

test('host reads of constants are answered, and constants folded', async () => {
  const fn = ({x}: Record<string, tf.Tensor>) => {
    const scale = tf.exp(tf.tensor1d([0, 1, 2, 3]));
    return tf.mul(tf.mul(x!, scale), scale.dataSync()[1]!);
  };
  const model = await toOnnx(fn, x);
  expect(model.nodes.map(n => n.op)).toEqual(['Mul', 'Mul', 'Identity']);
  expect(await exportError(fn, {x: normal(3, 4)})).toBeLessThan(1e-6);
});

describe('dynamic dimensions', () => {
  const rows = {dim: 'rows', example: 3};
  const columns = {dim: 'columns', example: 4, step: 2};
  const inputs = [{name: 'x', shape: [rows, columns], dtype: 'float32'}] as const;

  test('shapes, ranges, fills and scalars that depend on them', async () => {
    const fn = ({x}: Record<string, tf.Tensor>) => {
      const [r = 0, c = 0] = x!.shape;
      const halves = tf.reshape(x!, [r * 2, c / 2]);
      const tail = tf.slice(x!, [r - 1, 0], [1, c]);
      const ramp = tf.reshape(tf.range(0, r), [r, 1]);
      return {halves: tf.div(halves, c), sum: tf.add(tf.add(x!, ramp), tf.mul(tail, tf.ones([r, 1])))};
    };
    const model = await toOnnx(fn, inputs);
    expect(model.outputs.map(o => o.shape.map(d => (typeof d === 'number' ? d : dimName(d))))).toEqual([
      ['rows*2', 'columns/2'],
      ['rows', 'columns'],
    ]);
    for (const shape of [
      [3, 4],
      [5, 10],
      [1, 2],
    ] as const) {
      const given = {x: normal(...shape)};
      expect(compare(await runBytes(model, given), runOnEngine(fn, given))).toBeLessThan(1e-6);
    }
  });

  test('a function that takes another path is refused', async () => {
    const fn = ({x}: Record<string, tf.Tensor>) => (x!.shape[0]! > 4 ? tf.neg(x!) : tf.abs(x!));
    await expect(toOnnx(fn, inputs)).rejects.toThrow(
      /takes another path when its dynamic dimensions change \(first at Abs in fn /,
    );
  });

  test('a table made on the host is refused', async () => {
    const fn = ({x}: Record<string, tf.Tensor>) =>
      tf.add(x!, tf.tensor2d(Array.from({length: x!.shape[0]!}, (_, i) => [i])));
    await expect(toOnnx(fn, inputs)).rejects.toThrow(/computed on the host from a dynamic dimension/);
  });

  test('fitDim', () => {
    const sizes = [
      {h: 8, t: 3},
      {h: 10, t: 3},
      {h: 14, t: 3},
      {h: 8, t: 4},
      {h: 8, t: 6},
      {h: 12, t: 5},
    ];
    const fitted = (f: (h: number, t: number) => number) => {
      const dim = fitDim(
        sizes.map(({h, t}) => f(h, t)),
        sizes,
      );
      return dim === undefined || typeof dim === 'number' ? dim : dimName(dim);
    };
    expect(fitted(() => 7)).toBe(7);
    expect(fitted(h => h)).toBe('h');
    expect(fitted((h, t) => (h / 2) * t * t)).toBe('h*t^2/2');
    expect(fitted((h, t) => 3 * (t - 1) * h)).toBe('h*(t-1)*3');
    expect(fitted((h, t) => h + t)).toBeUndefined();
    expect(fitted(h => Math.ceil(h / 3))).toBeUndefined();
  });
});

test('reshapes keep stored orders where they can', () => {
  const blocks = reshapeBlocks([2, 3, 5, 7, 4], [6, 5, 7, 4])!;
  expect(blocks.map(b => [b.from.length, b.to.length])).toEqual([
    [2, 1],
    [1, 1],
    [1, 1],
    [1, 1],
  ]);
  expect(reshapePerm(blocks, [0, 1, 4, 2, 3])).toEqual([0, 3, 1, 2]);
  expect(reshapePerm(blocks, [0, 4, 1, 2, 3])).toBeUndefined();
  expect(reshapeBlocks([6], [6, 1])).toEqual([
    {from: [0], to: [0]},
    {from: [], to: [1]},
  ]);
  expect(reshapeBlocks([1, 6], [6])).toEqual([{from: [0, 1], to: [0]}]);
});
