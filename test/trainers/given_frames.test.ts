// Which frames are given, and how they and clips of lower rates are cut from batches.
import {beforeAll, expect, test} from 'vitest';
import type {VideoBatch} from '../../datasets/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {
  contextDraws,
  contextOf,
  drawn,
  firstFrames,
  keyFrames,
  selectFrames,
} from '../../trainers/inputs/given_frames.ts';

beforeAll(async () => void (await openEngine('cpu')));

test('c_S is the masked latents and the mask', () => {
  const latents = tf.tensor([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 1, 1, 2]);
  const context = contextOf(latents, [true, false, true, true]);
  expect(context.shape).toEqual([2, 2, 1, 1, 3]);
  expect([...context.dataSync()]).toEqual([1, 2, 1, 0, 0, 0, 5, 6, 1, 7, 8, 1]);
  tf.dispose([latents, context]);
});

test('masks of first frames and of key frames', () => {
  expect(firstFrames(2, 4)).toEqual([true, true, false, false]);
  expect(firstFrames(0, 2)).toEqual([false, false]);
  expect(keyFrames(9).flatMap((key, t) => (key ? [t] : []))).toEqual([0, 4, 8]);
});

test('S is drawn with the shares configured, as a function of seed and step', () => {
  const draw = (step: number) =>
    contextDraws(3000, {seed: 4, place: {step, microBatch: 0}}).map(({first}) => drawn([0.2, 0.5, 0.3], first));
  const all = draw(7);
  for (const [s, share] of [0.2, 0.5, 0.3].entries())
    expect(all.filter(value => value === s).length / all.length).toBeCloseTo(share, 1);
  expect(draw(7)).toEqual(all);
  expect(draw(8)).not.toEqual(all);
  expect(drawn([0, 0, 1], 0)).toBe(2);
  expect(drawn([1, 0, 0], 0.999)).toBe(0);
});

const batch: VideoBatch = {
  kind: 'clips',
  frames: Uint8Array.from({length: 2 * 5 * 3}, (_, i) => i),
  shape: [2, 5, 1, 1, 3],
  keys: ['a', 'b'],
  captions: ['one', undefined],
  fps: [24, 24],
  labels: [{}, {}],
  boxes: [[{frame: 4, xyxy: [0, 0, 1, 1], class: 'car'}], [{frame: 3, xyxy: [0, 0, 1, 1], class: 'car'}]],
  metadata: [{}, {}],
  position: null,
  waitedMs: 0,
};

test('clips of a lower rate: frames, boxes and the rate of each sample follow', () => {
  const selected = selectFrames(
    batch,
    [
      [0, 2, 4],
      [1, 2, 3],
    ],
    [2, 1],
  );
  expect([...selected.frames]).toEqual([0, 1, 2, 6, 7, 8, 12, 13, 14, 18, 19, 20, 21, 22, 23, 24, 25, 26]);
  expect(selected).toMatchObject({
    shape: [2, 3, 1, 1, 3],
    fps: [12, 24],
    keys: ['a', 'b'],
    captions: ['one', undefined],
  });
  expect(selected.boxes.map(boxes => boxes.map(({frame}) => frame))).toEqual([[2], [2]]);
});

test('the same of latents', () => {
  const values = Float32Array.from({length: 2 * 5}, (_, i) => i);
  const latents = {mean: values, logvar: values.map(value => -value), shape: [2, 5, 1, 1, 1] as const};
  const selected = selectFrames({...batch, frames: new Uint8Array(), latents}, [[4], [0]], [4, 4]);
  expect(selected.latents).toEqual({
    mean: Float32Array.of(4, 5),
    logvar: Float32Array.of(-4, -5),
    shape: [2, 1, 1, 1, 1],
  });
});
