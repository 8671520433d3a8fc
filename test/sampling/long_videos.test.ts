// Key frames, guidance, prediction and interpolation: the arithmetic of frames, what is given stays, nothing leaks.
import '@tensorflow/tfjs-backend-wasm';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {UNet} from '../../src/models/index.ts';
import {
  frameRange,
  givenTensor,
  guidedDenoise,
  interpolatedLength,
  interpolateFrames,
  interpolationWindows,
  type LatentDiffusion,
  predictFrames,
  predictionWindows,
  sampleLatents,
  windowNoise,
} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {random, shake, tinyTemporal, tinyUNet} from '../models/tiny.ts';
import {videoModel} from './models.ts';

let model: LatentDiffusion;
beforeAll(async () => {
  await tf.setBackend('wasm');
  model = videoModel();
});
afterAll(() => model?.unet.dispose());

const far = (a: tf.Tensor, b: tf.Tensor) => tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!);
/** Tensors that a model keeps of its own accord: tables of positions and frequencies. */
const tables = (unet: UNet) =>
  [unet, ...unet.descendants().map(({block}) => block)].reduce(
    (sum, block) => sum + (Reflect.get(block, 'constants') as Map<string, tf.Tensor>).size,
    0,
  );
const live = () => tf.memory().numTensors - tables(model.unet);
const common = {steps: 2, seed: 5, index: 0} as const;

describe('guidance', () => {
  test('text and context guidance are the equations of their papers', () => {
    const unet = new UNet({...tinyUNet, temporal: {...tinyTemporal, given: {inputs: 5, channels: 4}}}).allocate(1);
    shake(unet.namedWeights(), 0.1);
    const x = random<tf.Rank.R5>(1, 3, 4, 4, 4);
    const t = tf.tensor1d([500], 'int32');
    const [context, empty] = [random<tf.Rank.R3>(1, 5, 6), random<tf.Rank.R3>(1, 5, 6)];
    const given = givenTensor({latents: random<tf.Rank.R5>(1, 1, 4, 4, 4), positions: [0]}, 3);
    const f = (text: tf.Tensor3D, frames?: tf.Tensor5D) =>
      unet.forward({latents: x, timesteps: t, context: text, given: frames});
    const before = tf.memory().numTensors - tables(unet);
    const run = (scale: number, contextScale: number, frames?: tf.Tensor5D) =>
      guidedDenoise(unet, 'video', {
        conditions: {context},
        unconditional: {context: empty},
        scale,
        contextScale,
        ...(frames ? {given: frames} : {}),
      })(x, t);
    tf.tidy(() => {
      const full = f(context, given);
      expect(far(full, f(context))).toBeGreaterThan(0.01);
      expect(far(run(1, 1, given), full)).toBe(0);
      // Classifier-free guidance: u + w (c - u).
      const free = tf.add(f(empty), tf.mul(tf.sub(f(context), f(empty)), 3));
      expect(far(run(3, 1), free)).toBeLessThan(1e-5);
      // Context guidance: f(z) + s (f(z; c_S) - f(z)).
      const guided = tf.add(f(context), tf.mul(tf.sub(full, f(context)), 2.5));
      expect(far(run(1, 2.5, given), guided)).toBeLessThan(1e-5);
      // Both: each adds its own difference to the full prediction.
      const both = tf.add(guided, tf.mul(tf.sub(full, f(empty, given)), 2));
      expect(far(run(3, 2.5, given), both)).toBeLessThan(1e-5);
    });
    expect(tf.memory().numTensors - before).toBe(tables(unet));
    expect(() => guidedDenoise(unet, 'video', {scale: Number.NaN})).toThrow('finite number');
    unet.dispose();
  });
});

describe('prediction', () => {
  test('windows: one given frame first, then two', () => {
    expect(predictionWindows(1, 8, 8)).toBe(1);
    expect(predictionWindows(1, 9, 8)).toBe(2);
    expect(predictionWindows(2, 14, 8)).toBe(2);
    expect(predictionWindows(8, 8, 8)).toBe(0);
  });
  test('goes on from what is given, keeps it, and a longer video begins as a shorter one', async () => {
    const first = random<tf.Rank.R5>(1, 1, 4, 4, 4);
    const before = live();
    const seen: string[] = [];
    const long = await predictFrames(model, first, {
      ...common,
      frames: 9,
      clip: 4,
      onWindow: (i, n) => void seen.push(`${i}/${n}`),
    });
    expect(live()).toBe(before + 1);
    expect(long.shape).toEqual([1, 9, 4, 4, 4]);
    expect(seen).toEqual(['0/4', '1/4', '2/4', '3/4']);
    const short = await predictFrames(model, first, {...common, frames: 5, clip: 4});
    tf.tidy(() => {
      expect(far(frameRange(long, 0, 1), first)).toBe(0);
      expect(far(frameRange(long, 0, 5), short)).toBe(0);
      // What is given matters, and windows differ though they start from like frames.
      expect(far(frameRange(long, 4, 6), frameRange(long, 6, 8))).toBeGreaterThan(1e-3);
    });
    const other = random<tf.Rank.R5>(1, 1, 4, 4, 4);
    const elsewhere = await predictFrames(model, other, {...common, frames: 4, clip: 4});
    expect(
      far(
        tf.tidy(() => frameRange(elsewhere, 1, 4)),
        tf.tidy(() => frameRange(long, 1, 4)),
      ),
    ).toBeGreaterThan(1e-3);
  });
  test('stops when told, leaving no tensor behind', async () => {
    const first = random<tf.Rank.R5>(1, 1, 4, 4, 4);
    const control = new AbortController();
    const before = tf.memory().numTensors;
    const run = predictFrames(model, first, {
      ...common,
      frames: 9,
      clip: 4,
      signal: control.signal,
      onWindow: i => i === 1 && control.abort(),
    });
    await expect(run).rejects.toThrow('aborted');
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('interpolation', () => {
  test('8 -> 29 -> 113 frames', () => {
    expect(interpolatedLength(8)).toBe(29);
    expect(interpolatedLength(29)).toBe(113);
  });
  test('windows cover every interval once; a short rest reaches back', () => {
    expect(interpolationWindows(8, 5)).toHaveLength(7);
    expect(interpolationWindows(8, 9)).toEqual([0, 2, 4, 5].map(start => ({start, intervals: 2})));
    expect(interpolationWindows(3, 29)).toEqual([{start: 0, intervals: 2}]);
    expect(() => interpolationWindows(3, 4)).toThrow('holds no interval');
  });
  test.each([5, 9])('clips of %i frames: key frames stay, frames between are made', async clip => {
    const keys = random<tf.Rank.R5>(1, 4, 4, 4, 4);
    const before = live();
    const video = await interpolateFrames(model, keys, {...common, clip, level: 0});
    expect(live()).toBe(before + 1);
    expect(video.shape).toEqual([1, 13, 4, 4, 4]);
    tf.tidy(() => {
      for (let k = 0; k < 4; k++) expect(far(frameRange(video, 4 * k, 4 * k + 1), frameRange(keys, k, k + 1))).toBe(0);
      for (let t = 1; t < 13; t++)
        expect(far(frameRange(video, t - 1, t), frameRange(video, t, t + 1))).toBeGreaterThan(0.01);
    });
    const second = await interpolateFrames(model, keys, {...common, clip, level: 1});
    expect(far(video, second)).toBeGreaterThan(1e-3);
  });
});

describe('other lengths and sizes than trained', () => {
  test('more frames through the attention window: far frames do not see each other', async () => {
    const conv = {...tinyTemporal, conv: false};
    const narrow = new UNet({...model.unet.config, temporal: {...conv, window: 2}}).allocate(3);
    shake(narrow.namedWeights(), 0.1);
    const at = tf.tensor1d([500], 'int32');
    const x = random<tf.Rank.R5>(1, 12, 4, 4, 4);
    tf.tidy(() => {
      // Two windowed layers (down, mid, up: four attentions of distance 2) reach 8 frames: frame 11 does not see frame 0.
      const moved = tf.concat([tf.add(frameRange(x, 0, 1), 1), frameRange(x, 1, 12)], 1);
      const reach = narrow.descendants().filter(({path}) => path.endsWith('temporal_transformer_blocks.0')).length * 2;
      const difference = tf.max(
        tf.abs(tf.sub(narrow.forward({latents: x, timesteps: at}), narrow.forward({latents: moved, timesteps: at}))),
        [0, 2, 3, 4],
      );
      const byFrame = difference.dataSync();
      expect(reach).toBeLessThan(12);
      for (let t = 0; t < 12; t++) {
        if (t > reach) expect(byFrame[t]).toBe(0);
      }
      expect(byFrame[1]).toBeGreaterThan(0);
    });
    narrow.dispose();
  });
  test('larger frames convolutionally', async () => {
    const video = await sampleLatents(model, {...common, frames: 3, latentSize: [6, 10]});
    expect(video.shape).toEqual([1, 3, 6, 10, 4]);
  });
  test('noise of parts and windows is apart, and the first window of key frames is as ever', () => {
    const place = {seed: 1, index: 2, part: 'keyFrames', window: 0} as const;
    const shape = [2, 2, 2];
    const noise = [
      place,
      {...place, window: 1},
      {...place, part: 'prediction'} as const,
      {...place, part: 'interpolation'} as const,
      {...place, index: 3},
    ].map(at => windowNoise(at, shape).dataSync().join());
    expect(new Set(noise).size).toBe(noise.length);
    expect(() => windowNoise({...place, window: 2000}, shape)).toThrow('at most 1024 windows');
  });
});
