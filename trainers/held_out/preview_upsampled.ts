// Upsampled held-out clips: while training, and for figures of how they flicker.
import type {Frames, VideoBatch} from '../../datasets/index.ts';
import type {CommonConfig} from '../../src/config/schema.ts';
import {type NoiseSchedule, type Prediction, type SamplerName, samplers} from '../../src/diffusion/index.ts';
import {type EncodedConditions, pixelsToFrames, type UNet} from '../../src/models/index.ts';
import {windowNoise} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {clipPixels} from '../inputs/latents.ts';
import {type Condition, ofImages, type Upsampling, upsamplerDenoise} from '../inputs/upsampling.ts';
import type {HeldOutConditions} from './held_out_conditions.ts';
import {previewFiles} from './preview_files.ts';

export interface Upsampler {
  readonly unet: UNet;
  readonly schedule: NoiseSchedule;
  readonly prediction: Prediction;
  readonly upsampling: Upsampling;
}

/** Pixels [1,T,H,W,3] made of a condition: all frames together, or each alone. The same noise in both modes. */
export async function upsampleClip(
  {unet, schedule, prediction, upsampling}: Upsampler,
  condition: Condition,
  options: {
    mode: 'video' | 'image';
    sampler?: SamplerName;
    steps: number;
    seed: number;
    index: number;
    conditions?: EncodedConditions;
  },
): Promise<tf.Tensor5D> {
  const {mode, sampler = 'ddim', steps, seed, index, conditions} = options;
  const [, t, h, w] = condition.low.shape;
  const frame = [h, w, unet.config.outChannels];
  const clipNoise = windowNoise({seed, index, part: 'upsampler', window: 0}, [t, ...frame]);
  const noise = mode === 'image' ? tf.reshape(clipNoise, [t, 1, ...frame]) : clipNoise;
  const given = mode === 'image' ? ofImages(condition) : condition;
  const denoise = upsamplerDenoise(unet, given, mode, conditions);
  const sampled = await samplers[sampler]({denoise, schedule, prediction, noise, steps});
  const pixels = tf.tidy(() =>
    upsampling.decode(tf.reshape(sampled, [1, t, ...frame] as [1, number, ...[number, number, number]])),
  );
  tf.dispose([clipNoise, noise, sampled, ...(mode === 'image' ? [given] : [])]);
  return pixels;
}

/** Each clip: what it was made of enlarged, what was made of it, and what it should be. */
export async function previewUpsampled(
  upsampler: Upsampler,
  clips: readonly VideoBatch[],
  at: {
    config: Pick<CommonConfig, 'data' | 'preview' | 'run'>;
    folder: string;
    step: number;
    mode: 'video' | 'image';
    known: HeldOutConditions;
  },
): Promise<string[]> {
  const {config, folder, step, mode, known} = at;
  const {clips: count = 0, samplerSteps: steps = 0} = config.preview ?? {};
  const rows: Frames[] = [];
  for (const [index, clip] of clips.slice(0, count).entries()) {
    const condition = upsampler.upsampling.heldOutCondition(clip, index);
    const conditions = known.own(index);
    const made = await upsampleClip(upsampler, condition, {mode, steps, seed: config.run.seed, index, conditions});
    const enlarged = tf.tidy(() => {
      const [, t, h, w] = clip.shape;
      const low: tf.Tensor4D = tf.reshape(condition.low, [t, ...(condition.low.shape.slice(2) as [number, number, 3])]);
      return tf.reshape<tf.Rank.R5>(tf.image.resizeNearestNeighbor(low, [h, w]), made.shape);
    });
    rows.push(await framesOf(enlarged), await framesOf(made));
    const truth = clipPixels(clip);
    rows.push(await framesOf(truth));
    tf.dispose([condition, conditions, made, enlarged, truth]);
  }
  return previewFiles(folder, step, rows, mode === 'video' ? (config.data.fps ?? 8) : undefined);
}

async function framesOf(pixels: tf.Tensor5D): Promise<Frames> {
  const [, t, h, w] = pixels.shape;
  const frames = tf.tidy(() => pixelsToFrames(pixels));
  const data = Uint8Array.from(await frames.data());
  frames.dispose();
  return {data, shape: [t, h, w, 3]};
}
