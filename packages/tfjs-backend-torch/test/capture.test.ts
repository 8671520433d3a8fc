// Captured steps: what is refused and by which name, and the order of warm-up, recording and replay.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import {afterEach, beforeAll, describe, expect, test} from 'vitest';
import {captured, type Recorder} from '../src/captured.ts';
import {type Captured, capture, TorchBackend} from '../src/index.ts';

beforeAll(async () => {
  await tf.setBackend('torch');
});

const open: {dispose(): void}[] = [];
const track = <I extends tf.TensorContainer, O extends tf.TensorContainer>(step: Captured<I, O>) => {
  open.push(step);
  return step;
};
afterEach(() => {
  for (const step of open.splice(0)) step.dispose();
});

describe('a captured step', () => {
  test('returns tensors that hold until the next call, and leaks none', () => {
    const x = tf.tensor1d([1, 2]);
    const before = tf.memory().numTensors;
    const step = capture(({by}: {by: tf.Tensor}) => ({y: tf.mul(x, by), same: by}));
    const first = tf.tidy(() => step({by: tf.scalar(2)}));
    expect(Array.from(first.y.dataSync())).toEqual([2, 4]);
    expect(Array.from(first.same.dataSync())).toEqual([2]);
    const second = tf.tidy(() => step({by: tf.scalar(3)}));
    expect(Array.from(second.y.dataSync())).toEqual([3, 6]);
    expect(first.y === second.y || first.y.isDisposed).toBe(true);
    step.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(() => step({by: x})).toThrow(/was disposed of/);
    x.dispose();
  });

  test('refuses reads, host kernels, moved variables and nesting by name, and goes on', () => {
    const x = tf.variable(tf.ones([4]));
    const attempt = (body: () => tf.Tensor | undefined) => () => track(capture(() => ({y: body() ?? x})))({});
    expect(attempt(() => void x.dataSync())).toThrow(/read of float32\[4\] is not possible inside a captured step/);
    expect(attempt(() => tf.unique(x).values)).toThrow(/kernel Unique is not possible/);
    expect(attempt(() => void x.assign(tf.zeros([4])))).toThrow(/Variable.assign of .* is not possible/);
    expect(attempt(() => void capture(() => ({}))({}))).toThrow(/cannot run inside another/);
    x.assign(tf.fill([4], 5));
    expect(Array.from(x.dataSync())).toEqual([5, 5, 5, 5]);
    x.dispose();
  });

  test('uploads in its first call only', () => {
    let calls = 0;
    const constant = track(capture(() => ({y: calls++ === 0 ? tf.tensor1d([1, 2]) : tf.fill([2], 3)})));
    constant({});
    expect(Array.from(constant({}).y.dataSync())).toEqual([3, 3]);
    const always = track(capture(() => ({y: tf.tensor1d([1, 2])})));
    always({});
    expect(() => always({})).toThrow(/upload of float32\[2\] is not possible/);
  });

  test('can be made anew after the last one is gone, and after one that failed', () => {
    for (let round = 0; round < 2; round++) {
      // On a GPU the fourth call records, and the following replay.
      const step = capture(({x}: {x: tf.Tensor}) => ({y: tf.mul(x, 2)}));
      const results = [1, 2, 3, 4, 5, 6].map(value => tf.tidy(() => step({x: tf.fill([2], value)}).y.dataSync()[0]));
      expect(results).toEqual([2, 4, 6, 8, 10, 12]);
      step.dispose();

      let calls = 0;
      const failing = track(capture(({x}: {x: tf.Tensor}) => ({y: calls++ < 3 ? x : tf.tensor(x.dataSync())})));
      const call = () => tf.tidy(() => failing({x: tf.ones([2])}));
      for (let i = 0; i < 3; i++) call();
      expect(call).toThrow(/read of float32\[2\] is not possible/);
    }
  });

  test('refuses another shape, kind or number than the first, by its path', () => {
    const step = track(
      capture(({batch}: {batch: {x: tf.Tensor; scale: number}}) => ({y: tf.mul(batch.x, batch.scale)})),
    );
    const call = (x: tf.Tensor, scale = 2) => tf.tidy(() => step({batch: {x, scale}}));
    call(tf.ones([2, 3]));
    expect(() => call(tf.ones([3, 2]))).toThrow(/batch\.x float32\[2,3\], now with float32\[3,2\]/);
    expect(() => call(tf.ones([2, 3], 'int32'))).toThrow(/batch\.x float32\[2,3\], now with int32\[2,3\]/);
    expect(() => call(tf.ones([2, 3]), 4)).toThrow(/batch\.scale 2, now with 4/);
  });
});

describe('with graphs', () => {
  /** A recorder whose graph is a list of what was done, and whose replay does it again into the same outputs. */
  function pretended(log: string[]): Recorder {
    const overwrite = (target: tf.Tensor, source: tf.Tensor) => {
      const torch = tf.backend();
      if (!(torch instanceof TorchBackend)) throw new Error('These tests run on the torch backend.');
      torch.native.assign(torch.handle(target), torch.handle(source));
    };
    return {
      warmUp: 2,
      guarded: step => step(),
      graphs: {
        copyOf: tensor => tf.mul(tensor, 1),
        overwrite,
        record(step) {
          log.push('record');
          const result = step();
          const targets = Object.values(result as Record<string, tf.Tensor>);
          const replay = () => {
            log.push('replay');
            const again = step();
            for (const [i, y] of Object.values(again as Record<string, tf.Tensor>).entries()) overwrite(targets[i]!, y);
            tf.dispose(again as tf.TensorContainer);
          };
          return {result, graph: {replay, release: () => log.push('release')}};
        },
      },
    };
  }
  test('warms up, records once, replays with new values in the same inputs and outputs', () => {
    const log: string[] = [];
    const before = tf.memory().numTensors;
    const step = captured(({x}: {x: tf.Tensor}) => {
      log.push('run');
      return {y: tf.square(x)};
    }, pretended(log));
    const results = [1, 2, 3, 4].map(value => tf.tidy(() => step({x: tf.fill([2], value)}).y.dataSync()[0]));
    expect(results).toEqual([1, 4, 9, 16]);
    expect(log).toEqual(['run', 'run', 'record', 'run', 'replay', 'run', 'replay', 'run']);
    step.dispose();
    expect(log.at(-1)).toBe('release');
    expect(tf.memory().numTensors).toBe(before);
  });
});
