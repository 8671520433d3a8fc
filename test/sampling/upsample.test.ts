// Enlarging: on strips as whole, in chunks without a jump, the same bytes again; on pixels and on latents.
import '@tensorflow/tfjs-backend-wasm';
import {beforeAll, describe, expect, test} from 'vitest';
import {makeSchedule, samplerSteps, samplers, stableDiffusionSchedule} from '../../src/diffusion/index.ts';
import {AutoencoderKL, UNet, type UNetConfig} from '../../src/models/index.ts';
import {
  frameRange,
  planUNet,
  planUpsample,
  stripsOf,
  unetInSteps,
  upsampleVideo,
  type VideoUpsampler,
} from '../../src/sampling/index.ts';
import {sampleInChunks} from '../../src/sampling/sample_in_chunks.ts';
import * as tf from '../../src/tf.ts';
import {random, shake, tinyTemporal, tinyUNet} from '../models/tiny.ts';

beforeAll(() => tf.setBackend('wasm'));

const apart = (a: tf.Tensor, b: tf.Tensor | number) => tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!);
const {crossAttentionDim: _, ...withoutText} = tinyUNet;

function built(changes: Partial<UNetConfig>): UNet {
  const unet = new UNet({...tinyUNet, temporal: tinyTemporal, ...changes}).allocate(3);
  shake(unet.namedWeights(), 0.1);
  return unet;
}

describe('a UNet on strips of rows', () => {
  test.each([
    ['with text and layers over time', {}, 'video'],
    ['on images', {temporal: undefined}, 'image'],
    ['with kernels of 3x3x3', {temporal: {...tinyTemporal, kernel: [3, 3, 3]}}, 'video'],
    ['attending to text alone', {crossOnly: [true, true]}, 'video'],
  ] as const)('%s has the numbers of the whole frame', (_name, changes, mode) => {
    const unet = built(changes as Partial<UNetConfig>);
    const inputs = {
      latents: random<tf.Rank.R5>(1, 3, 10, 6, 4),
      timesteps: tf.tensor1d([400], 'int32'),
      context: random<tf.Rank.R3>(1, 5, 6),
      mode,
    };
    const whole = unet.forward(inputs);
    const scale = apart(whole, 0);
    expect(scale).toBeGreaterThan(0.1);
    const before = tf.memory().numTensors;
    for (const bytes of [undefined, 1, 15_000]) {
      const strips = unetInSteps(unet, inputs, {strips: bytes === undefined ? bytes : stripsOf(bytes)});
      expect(apart(strips, whole)).toBeLessThan(1e-5 * Math.max(1, scale));
      strips.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
    unet.dispose();
  });

  test('a bound chooses strips, and one that is too small is refused with what would do', () => {
    const unet = built({});
    const clip = {frames: 2, height: 32, width: 32};
    const whole = planUNet(unet, clip, Number.POSITIVE_INFINITY);
    expect(whole.stripBytes).toBeUndefined();
    const bound = Math.floor(whole.engineBytes * 0.8);
    const plan = planUNet(unet, clip, bound);
    expect(plan.engineBytes + plan.parkedBytes).toBeLessThanOrEqual(bound);
    expect(() => planUNet(unet, clip, 1000)).toThrow(/takes at least \d+ MiB, but the memory is bound to 0 MiB/);
    unet.dispose();
  });
});

describe('enlarging', () => {
  const upsampler = (latent: VideoUpsampler['latent'], temporal = true): VideoUpsampler => {
    const channels = latent ? 4 : 3;
    const unet = new UNet({
      ...withoutText,
      inChannels: channels + 3,
      outChannels: channels,
      classEmbedding: 100,
      ...(temporal ? {temporal: tinyTemporal} : {}),
    }).allocate(5);
    shake(unet.namedWeights(), 0.1);
    const schedule = makeSchedule(stableDiffusionSchedule);
    return {unet, schedule, prediction: 'v', factor: 2, maxNoiseLevel: 99, lowSchedule: schedule, latent};
  };
  const data = Uint8Array.from({length: 5 * 8 * 4 * 3}, (_, i) => (i * 37) % 256);
  const low = {data, shape: [5, 8, 4, 3]} as const;
  const common = {sampler: 'ddim', steps: 2, seed: 1, index: 0} as const;

  test('on pixels, in chunks and on strips: the same video, twice', async () => {
    const model = upsampler(undefined);
    const first = await upsampleVideo(model, low, {...common, framesAtOnce: 3});
    expect(first.shape).toEqual([5, 16, 8, 3]);
    const before = tf.memory().numTensors;
    const again = await upsampleVideo(model, low, {...common, framesAtOnce: 3});
    expect(again.data).toEqual(first.data);
    const memory = Math.floor(
      planUNet(model.unet, {frames: 3, height: 16, width: 8}, Number.POSITIVE_INFINITY).engineBytes * 0.8,
    );
    let strips: number | undefined;
    const bound = await upsampleVideo(model, low, {
      ...common,
      framesAtOnce: 3,
      memory,
      onPlan: ({stripBytes}) => {
        strips = stripBytes;
      },
    });
    expect(strips).toBeGreaterThan(0);
    expect(
      bound.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - first.data[i]!)), 0),
    ).toBeLessThanOrEqual(1);
    expect(tf.memory().numTensors).toBe(before);
    const louder = await upsampleVideo(model, low, {...common, framesAtOnce: 3, noiseLevel: 90});
    expect(louder.data).not.toEqual(first.data);
    model.unet.dispose();
  });

  test('frame by frame without layers over time: chunks change nothing', async () => {
    const model = upsampler(undefined, false);
    const whole = await upsampleVideo(model, low, common);
    const chunks = await upsampleVideo(model, low, {...common, framesAtOnce: 2});
    expect(
      chunks.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - whole.data[i]!)), 0),
    ).toBeLessThanOrEqual(1);
    model.unet.dispose();
  });

  test('the state of all frames is counted: a bound for a chunk alone is refused with an amount that does', () => {
    const model = upsampler(undefined);
    const wanted = {frames: 40, height: 16, width: 12, framesAtOnce: 2, sampler: 'dpmpp_2m', guided: false} as const;
    const chunk = planUpsample(model, {...wanted, frames: 2}, Number.POSITIVE_INFINITY);
    const all = planUpsample(model, wanted, Number.POSITIVE_INFINITY);
    // Two states of 32x24 pixels and one low-resolution frame, for each of 38 frames more.
    expect(all.stateBytes - chunk.stateBytes).toBe(38 * 4 * (2 * 32 * 24 * 3 + 16 * 12 * 3));
    expect(all.engineBytes - chunk.engineBytes).toBe(all.stateBytes - chunk.stateBytes);
    const message =
      /Enlarging 40 frames to 32x24, 2 at a time, takes at least (\d+) MiB, (\d+) MiB of them for the state/;
    const refused = (() => {
      try {
        planUpsample(model, wanted, 2 ** 20);
      } catch (error) {
        return message.exec(String(error))?.[1];
      }
      return undefined;
    })();
    const plan = planUpsample(model, wanted, Number(refused) * 2 ** 20);
    expect(plan.engineBytes + plan.parkedBytes).toBeLessThanOrEqual(Number(refused) * 2 ** 20);
    model.unet.dispose();
  });

  test('without layers over time fewer frames at a time come before strips', () => {
    const model = upsampler(undefined, false);
    const wanted = {frames: 8, height: 16, width: 12, sampler: 'ddim', guided: false} as const;
    const whole = planUpsample(model, wanted, Number.POSITIVE_INFINITY);
    expect(whole.frames).toBe(8);
    const plan = planUpsample(model, wanted, whole.engineBytes / 2);
    expect(plan.frames).toBeLessThan(5);
    expect(plan.stripBytes).toBeUndefined();
    model.unet.dispose();
  });

  test.each(['ddim', 'euler', 'dpmpp_2m'] as const)(
    '%s, frame by frame, has the numbers of a whole batch',
    async name => {
      const schedule = makeSchedule(stableDiffusionSchedule);
      const noise = random<tf.Rank.R5>(1, 5, 2, 3, 2);
      const denoise = (x: tf.Tensor) => tf.mul(tf.tanh(x), 0.9);
      const whole = await samplers[name]({denoise, schedule, prediction: 'v', noise, steps: 4});
      const before = tf.memory().numTensors;
      // Chunks that overlap, the last one reaching back: the mean of equal predictions.
      for (const [chunk, starts] of [
        [5, [0]],
        [2, [0, 1, 2, 3]],
        [3, [0, 2]],
      ] as const) {
        const frames = Array.from({length: 5}, (_, t) => frameRange(noise, t, t + 1));
        const steps = samplerSteps[name](schedule, 'v', 4);
        const made = sampleInChunks(frames, {steps, starts, chunk, join: noisy => tf.clone(noisy), predict: denoise});
        const joined = tf.concat(made, 1);
        expect(apart(joined, whole)).toBeLessThan(1e-5);
        tf.dispose([...made, joined]);
      }
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose([noise, whole]);
    },
  );

  test('on latents of an autoencoder', async () => {
    const autoencoder = new AutoencoderKL({
      channels: [8, 8],
      layersPerBlock: 1,
      latentChannels: 4,
      normGroups: 4,
      midAttention: false,
    }).allocate(1);
    const model = upsampler({autoencoder, scaleFactor: 0.5});
    const made = await upsampleVideo(model, low, common);
    expect(made.shape).toEqual([5, 16, 8, 3]);
    model.unet.dispose();
    autoencoder.dispose();
  });
});
