// Large frames on the torch engine: what decoding and enlarging take stays under what was stated, whole and on strips, on the
// engine and parked beside it; and video after video leaves nothing behind.
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {makeSchedule, stableDiffusionSchedule} from '../../src/diffusion/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import {type AutoencoderConfig, AutoencoderKL, UNet, type UNetConfig} from '../../src/models/index.ts';
import {
  decodeInSteps,
  decodeVideo,
  mostBytes,
  planDecode,
  planUNet,
  planUpsample,
  stripsOf,
  type UpsamplePlan,
  unetInSteps,
  upsampleVideo,
  type VideoUpsampler,
} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {random, tinyTemporal} from '../models/tiny.ts';

const autoencoderConfig: AutoencoderConfig = {
  channels: [16, 32],
  layersPerBlock: 1,
  latentChannels: 4,
  normGroups: 4,
  midAttention: true,
};
const temporalDecoder = {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}} as const;
const unetConfig: UNetConfig = {
  inChannels: 6,
  outChannels: 3,
  channels: [16, 32],
  layersPerBlock: 1,
  attention: [false, true],
  heads: {dim: 16},
  classEmbedding: 100,
  linearProjection: true,
  normGroups: 4,
};
const clip = {frames: 3, height: 64, width: 24};
const megabyte = 2 ** 20;

describe.skipIf(!isBuilt())('stated beforehand', () => {
  let torch: typeof import('tfjs-backend-torch');
  beforeAll(async () => {
    torch = await import('tfjs-backend-torch');
    await openEngine('torch');
  });

  /**
   * Most bytes on the engine while `run` runs, of what was not there before. Copies of weights in the layout that the engine
   * reads, which it keeps from the second time on, are there before.
   */
  async function peakOf<T>(run: () => T | Promise<T>): Promise<{peak: number; result: T}> {
    const before = torch.engineStats().allocated;
    torch.resetPeakMemory();
    const result = await run();
    return {peak: torch.engineStats().peak - before, result};
  }

  test.each([
    ['image decoder', autoencoderConfig],
    ['temporal decoder', {...autoencoderConfig, temporalDecoder}],
  ] as const)('%s: whole, and on strips for one bound after another', async (_, config: AutoencoderConfig) => {
    const autoencoder = new AutoencoderKL(config).allocate(1);
    const temporal = config.temporalDecoder !== undefined;
    const raw = random<tf.Rank.R4>(3, 32, 24, 4);
    const size = {frames: 3, height: 32, width: 24, temporal};
    let strips = 0;
    const small = tf.zeros<tf.Rank.R4>([2, 4, 4, 4]);
    for (let i = 0; i < 2; i++) decodeInSteps(autoencoder, small, {temporal}).dispose();
    const most = planDecode(autoencoder, size, Number.POSITIVE_INFINITY).engineBytes;
    for (const share of temporal ? [1, 0.6] : [1, 0.4, 0.2]) {
      const plan = planDecode(autoencoder, size, most * share);
      expect(plan.engineBytes + plan.parkedBytes).toBeLessThanOrEqual(most * share);
      const own = plan.stripBytes === undefined ? undefined : stripsOf(plan.stripBytes);
      const some = tf.slice(raw, [0, 0, 0, 0], [plan.frames, 32, 24, 4]);
      const {peak, result} = await peakOf(() => decodeInSteps(autoencoder, some, {temporal, strips: own}));
      expect(peak).toBeLessThanOrEqual(plan.engineBytes);
      if (own) {
        strips++;
        expect(mostBytes(own.store)).toBeLessThanOrEqual(plan.parkedBytes);
        expect(own.store.used).toBe(0);
      }
      tf.dispose([some, result]);
    }
    expect(strips).toBe(1);
    tf.dispose([raw, small]);
    autoencoder.dispose();
  });

  test.each([
    ['over time', {temporal: tinyTemporal}],
    ['over time, with 3x3x3 kernels', {temporal: {...tinyTemporal, kernel: [3, 3, 3]}}],
    ['of images', {}],
    ['attending everywhere', {attention: [true, true], temporal: tinyTemporal}],
    ['with text alone at its levels', {attention: [true, true], crossAttentionDim: 8, crossOnly: [true, true]}],
    [
      'with text alone and layers over time',
      {attention: [true, true], crossAttentionDim: 8, crossOnly: [true, true], temporal: tinyTemporal},
    ],
  ] as const)('a UNet %s', async (_, changes) => {
    const config: UNetConfig = {...unetConfig, ...(changes as Partial<UNetConfig>)};
    const unet = new UNet(config).allocate(2);
    const inputs = {
      latents: random<tf.Rank.R5>(1, clip.frames, clip.height, clip.width, 6),
      timesteps: tf.tensor1d([400], 'int32'),
      classLabels: tf.tensor1d([7], 'int32'),
      mode: config.temporal ? 'video' : 'image',
      ...(config.crossAttentionDim === undefined ? {} : {context: random<tf.Rank.R3>(1, 5, 8)}),
    } as const;
    const small = tf.zeros<tf.Rank.R5>([1, 2, 8, 8, 6]);
    for (let i = 0; i < 2; i++) unetInSteps(unet, {...inputs, latents: small}, {}).dispose();
    const most = planUNet(unet, clip, Number.POSITIVE_INFINITY).engineBytes;
    for (const share of [1, 0.9, 0.65]) {
      const plan = planUNet(unet, clip, most * share);
      expect(plan.stripBytes === undefined).toBe(share === 1);
      expect(plan.engineBytes + plan.parkedBytes).toBeLessThanOrEqual(most * share);
      const strips = plan.stripBytes === undefined ? undefined : stripsOf(plan.stripBytes);
      const {peak, result} = await peakOf(() => unetInSteps(unet, inputs, {strips}));
      expect(peak).toBeLessThanOrEqual(plan.engineBytes);
      if (strips) {
        expect(mostBytes(strips.store)).toBeLessThanOrEqual(plan.parkedBytes);
        expect(strips.store.used).toBe(0);
      }
      result.dispose();
    }
    tf.dispose(Object.values(inputs));
    unet.dispose();
  });

  function upsampler(): VideoUpsampler {
    const unet = new UNet({...unetConfig, temporal: tinyTemporal}).allocate(5);
    const schedule = makeSchedule(stableDiffusionSchedule);
    return {unet, schedule, prediction: 'v', factor: 4, maxNoiseLevel: 99, lowSchedule: schedule, latent: undefined};
  }
  const low = {
    data: Uint8Array.from({length: 5 * 16 * 12 * 3}, (_, i) => (i * 37) % 256),
    shape: [5, 16, 12, 3],
  } as const;

  test.each(['ddim', 'dpmpp_2m'] as const)('enlarging a video longer than a chunk, %s', async sampler => {
    const model = upsampler();
    const wanted = {frames: 5, height: 16, width: 12, framesAtOnce: 3, sampler, guided: false};
    const most = planUpsample(model, wanted, Number.POSITIVE_INFINITY).engineBytes;
    const common = {sampler, steps: 2, seed: 1, index: 0, framesAtOnce: 3} as const;
    await upsampleVideo(model, low, common);
    let first: Uint8Array | undefined;
    for (const memory of [most, most * 0.75]) {
      let plan: UpsamplePlan | undefined;
      const {peak, result} = await peakOf(() =>
        upsampleVideo(model, low, {
          ...common,
          memory,
          onPlan: made => {
            plan = made;
          },
        }),
      );
      expect(plan?.stripBytes === undefined).toBe(memory === most);
      expect(peak).toBeLessThanOrEqual(plan?.engineBytes ?? 0);
      expect(peak).toBeGreaterThan(plan?.stateBytes ?? 0);
      first ??= result.data;
      const own = first;
      const worst = result.data.reduce((far, value, i) => Math.max(far, Math.abs(value - own[i]!)), 0);
      expect(worst).toBeLessThanOrEqual(1);
    }
    model.unet.dispose();
  });

  test('video after video, on strips: as many tensors, as many bytes on the engine and beside it', async () => {
    const autoencoder = new AutoencoderKL({...autoencoderConfig, temporalDecoder}).allocate(1);
    const model = upsampler();
    const latents = random<tf.Rank.R5>(1, 5, 32, 24, 4);
    const decoding = {frames: 4, height: 32, width: 24, temporal: true};
    const decodeBound = planDecode(autoencoder, decoding, Number.POSITIVE_INFINITY).engineBytes * 0.6;
    const wanted = {frames: 5, height: 16, width: 12, framesAtOnce: 3, sampler: 'dpmpp_2m', guided: false} as const;
    const bound = planUpsample(model, wanted, Number.POSITIVE_INFINITY).engineBytes * 0.75;
    const strips: (number | undefined)[] = [];
    const onPlan = ({stripBytes}: {stripBytes: number | undefined}) => void strips.push(stripBytes);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const left: {tensors: number; engine: number; host: number}[] = [];
    for (let index = 0; index < 4; index++) {
      const decoded = await decodeVideo(autoencoder, latents, {
        scaleFactor: 1,
        framesAtOnce: 4,
        memory: decodeBound,
        onPlan,
      });
      expect(decoded.shape).toEqual([5, 64, 48, 3]);
      await upsampleVideo(model, low, {
        sampler: 'dpmpp_2m',
        steps: 2,
        seed: 1,
        index,
        framesAtOnce: 3,
        memory: bound,
        onPlan,
      });
      collect();
      collect();
      const {arrayBuffers} = process.memoryUsage();
      left.push({tensors: tf.memory().numTensors, engine: torch.engineStats().allocated, host: arrayBuffers});
    }
    expect(strips.length).toBe(8);
    for (const bytes of strips) expect(bytes).toBeGreaterThan(0);
    const [, second, ...rest] = left;
    for (const {tensors, engine, host} of rest) {
      expect({tensors, engine}).toEqual({tensors: second?.tensors, engine: second?.engine});
      expect(Math.abs(host - (second?.host ?? 0))).toBeLessThan(megabyte);
    }
    tf.dispose(latents);
    model.unet.dispose();
    autoencoder.dispose();
  });
});
