// What the two upsampler stages share: the space they work in (pixels, or latents of an autoencoder), the condition drawn for
// a step or fixed for a held-out clip, and the UNet under it.
import type {VideoBatch} from '../../datasets/index.ts';
import type {CommonConfig} from '../../src/config/schema.ts';
import {
  type Denoise,
  disposeTables,
  lowResolutionCondition,
  makeSchedule,
  type NoiseSchedule,
  noiseTensor,
  shrink,
} from '../../src/diffusion/index.ts';
import {type EncodedConditions, latentsToRaw, type UNet} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {integers} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {buildAutoencoder, needFrozen} from '../parents/frozen.ts';
import type {Parts} from '../parents/parts.ts';
import {clipPixels, type DiffusionInputs, encodeBatch, placeOf, type StepRandom} from './latents.ts';
import {cutPatches} from './patches.ts';

/** The noise level of held-out clips and samples: what the x4 upscaler is usually run with. */
const USUAL_LEVEL = 20;

/** The low-resolution video as the UNet takes it, [B,T,h,w,3] of the size it works at, and its level, int32 [B]. */
export type Condition = {low: tf.Tensor5D; levels: tf.Tensor1D};
export type UpsamplingInputs = {diffusion: DiffusionInputs; condition: Condition};

export interface Upsampling {
  /** Of the frames, and of the patches cut from them for training. */
  draw(batch: VideoBatch, schedule: NoiseSchedule, random: StepRandom, framesAre: 'clip' | 'images'): UpsamplingInputs;
  /** What a held-out clip is to be made into, [1,T,h,w,C]. */
  encode(batch: VideoBatch): tf.Tensor5D;
  /** The condition of held-out clip `i`, always the same; `level`: absent, what upscalers are usually run with. */
  heldOutCondition(batch: VideoBatch, i: number, level?: number): Condition;
  /** What the UNet gives -> pixels [B,T,H,W,3]. */
  decode(made: tf.Tensor5D): tf.Tensor5D;
  dispose(): void;
}

/** @throws UserError for sizes that do not divide. */
export function openUpsampling(
  parts: Parts,
  {data, patch}: Pick<CommonConfig, 'data'> & {patch?: readonly [number, number] | undefined},
): Upsampling {
  const {upsampling} = needFrozen(parts, 'upsampling');
  const {factor} = upsampling;
  const schedule = makeSchedule(upsampling.schedule);
  const latent = parts.autoencoder && needLatent(parts);
  const ratio = latent?.autoencoder.factor ?? 1;
  const grid = leastCommonMultiple(factor, ratio);
  refuseSizes({data, patch}, grid, factor);

  const encode = (batch: VideoBatch, random?: StepRandom): tf.Tensor5D =>
    latent ? encodeBatch(latent.autoencoder, latent.scaleFactor, batch, random) : clipPixels(batch);
  const conditionOf = (pixels: tf.Tensor5D, levels: tf.Tensor1D, noiseAt: Parameters<typeof noiseTensor>[0]) =>
    tf.tidy(() => {
      const small = shrink(pixels, factor);
      const [, , h = 0, w = 0] = pixels.shape;
      const noise = noiseTensor(noiseAt, small.shape);
      return lowResolutionCondition(small, {noise, levels, schedule}, [h / ratio, w / ratio]);
    });

  return {
    draw: (whole, diffusionSchedule, random, framesAre) =>
      tf.tidy(() => {
        const batch = patch ? cutPatches(whole, patch, grid, random) : whole;
        const apart = <X extends tf.Tensor5D>(clips: X): tf.Tensor5D => {
          const [b, t, ...frame] = clips.shape;
          return framesAre === 'images' ? tf.reshape(clips, [b * t, 1, ...frame]) : clips;
        };
        const latents = apart(encode(batch, random));
        const pixels = apart(clipPixels(batch));
        const [count] = latents.shape;
        // Levels come first in their stream, the noise of the low-resolution video well after them.
        const levelsAt = placeOf('noiseAugment', random);
        const levels = tf.tensor1d(integers(levelsAt, count, upsampling.maxNoiseLevel + 1), 'int32');
        const low = conditionOf(pixels, levels, {...levelsAt, offset: levelsAt.offset + 2 ** 20});
        const timesteps = integers(placeOf('timesteps', random), count, diffusionSchedule.config.steps);
        return {
          diffusion: {
            latents,
            noise: noiseTensor(placeOf('noise', random), latents.shape),
            timesteps: tf.tensor1d(timesteps, 'int32'),
          },
          condition: {low, levels},
        };
      }),

    encode: batch => encode(batch),

    heldOutCondition: (batch, i, wanted = USUAL_LEVEL) =>
      tf.tidy(() => {
        const [b] = batch.shape;
        const level = Math.min(wanted, upsampling.maxNoiseLevel);
        const levels = tf.tensor1d(new Array<number>(b).fill(level), 'int32');
        // Steps beyond any run's.
        const low = conditionOf(clipPixels(batch), levels, {seed: 0, stream: 'noiseAugment', step: 2 ** 31 + i});
        return {low, levels};
      }),

    decode: made => (latent ? tf.tidy(() => latent.autoencoder.decode(latentsToRaw(made, latent.scaleFactor))) : made),
    dispose() {
      disposeTables(schedule);
      latent?.autoencoder.dispose();
    },
  };
}

/** The UNet under a condition: noisy [B,T,h,w,C] joined with it. Frames as images: all [B*T,1,...]. */
export function upsamplerDenoise(
  unet: UNet,
  {low, levels}: Condition,
  mode: 'video' | 'image',
  conditions: EncodedConditions = {},
): Denoise {
  return (noisy, timesteps) =>
    tf.tidy(() =>
      unet.forward({latents: tf.concat([noisy, low], -1), timesteps, classLabels: levels, mode, ...conditions}),
    );
}

/** A clip's condition as that of its frames, [B*T,1,...]. */
export function ofImages({low, levels}: Condition): Condition {
  const [b, t, ...frame] = low.shape;
  return tf.tidy(() => ({
    low: tf.reshape(low, [b * t, 1, ...frame]),
    levels: tf.reshape(tf.tile(tf.reshape(levels, [b, 1]), [1, t]), [b * t]),
  }));
}

function needLatent(parts: Parts) {
  const frozen = needFrozen(parts, 'autoencoder', 'scaleFactor');
  return {autoencoder: buildAutoencoder(frozen), scaleFactor: frozen.scaleFactor};
}

function refuseSizes(
  {data, patch}: Pick<CommonConfig, 'data'> & {patch?: readonly [number, number] | undefined},
  grid: number,
  factor: number,
): void {
  for (const [field, sizes] of [
    ['data.size', data.size],
    ['patch', patch ?? []],
  ] as const) {
    const odd = sizes.find(size => size % grid !== 0);
    if (odd !== undefined)
      throw new UserError(
        `${field} [${sizes}] holds ${odd}, which does not divide into low-resolution pixels (factor ${factor}) and latents: use multiples of ${grid}.`,
      );
  }
  if (patch?.some((side, axis) => side > data.size[axis]!))
    throw new UserError(`patch [${patch}] is larger than data.size [${data.size}].`);
}

function leastCommonMultiple(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return (a * b) / divisor(a, b);
}
