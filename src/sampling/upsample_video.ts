// Frames -> frames `factor` times as large, by a diffusion model told of the noised low-resolution frames (Video LDM,
// "Temporal Fine-tuning of Super-Resolution Models"): in chunks of the frames it was trained on, all denoised together, the
// predictions mixed where chunks overlap, each chunk on strips of rows where the bound on memory asks for it.
import {
  type Denoise,
  lowResolutionCondition,
  type NoiseSchedule,
  noiseTensor,
  type SamplerName,
  samplers,
} from '../diffusion/index.ts';
import {type AutoencoderKL, framesToPixels, pixelsToFrames, type UNet, type UNetInputs} from '../models/index.ts';
import * as tf from '../tf.ts';
import {chunkStarts, type DecodedFrames, decodeVideo} from './decode_video.ts';
import {frameRange} from './given_frames.ts';
import {type Guidance, guidedDenoise, type UNetConditions} from './guided_denoise.ts';
import {planUNet, type UNetPlan} from './memory_plan.ts';
import type {LatentDiffusion} from './sample_latents.ts';
import {windowNoise} from './sampling_noise.ts';
import {unetOnStrips} from './unet_on_strips.ts';

export interface VideoUpsampler extends LatentDiffusion {
  readonly factor: number;
  readonly maxNoiseLevel: number;
  /** Of the noise on the low-resolution frames. */
  readonly lowSchedule: NoiseSchedule;
  /** Of the latents it works on; absent: it works on pixels. */
  readonly latent: {readonly autoencoder: AutoencoderKL; readonly scaleFactor: number} | undefined;
}

export interface UpsampleOptions {
  readonly sampler: SamplerName;
  readonly steps: number;
  readonly seed: number;
  readonly index: number;
  /** Default: 20, as the x4 upscaler is run. */
  readonly noiseLevel?: number;
  readonly guidance?: Omit<Guidance, 'given' | 'contextScale'>;
  /** Default 8. */
  readonly framesAtOnce?: number;
  /** Frames that two chunks share. Default 2 for a model with layers over time, else 0. */
  readonly overlap?: number;
  /** Bytes that an evaluation, and then decoding, may take. Default: no bound. */
  readonly memory?: number;
  readonly onPlan?: (plan: UNetPlan) => void;
  readonly onStep?: () => void;
  readonly signal?: AbortSignal;
}

/** RGB [T,h,w,3] -> [T,h x factor,w x factor,3]. */
export async function upsampleVideo(
  upsampler: VideoUpsampler,
  video: DecodedFrames,
  options: UpsampleOptions,
): Promise<DecodedFrames> {
  const {unet, schedule, prediction, factor, latent} = upsampler;
  const {sampler, steps, seed, index, memory = Number.POSITIVE_INFINITY, onStep, signal} = options;
  const [count, h, w] = video.shape;
  const ratio = latent?.autoencoder.factor ?? 1;
  const size: [number, number] = [(h * factor) / ratio, (w * factor) / ratio];
  const isVideo = unet.config.temporal !== undefined;
  const chunk = Math.min(options.framesAtOnce ?? 8, count);
  const overlap = Math.min(options.overlap ?? (isVideo ? 2 : 0), chunk - 1);
  const plan = planUNet(unet, {frames: chunk, height: size[0], width: size[1]}, memory);
  options.onPlan?.(plan);
  const level = Math.min(options.noiseLevel ?? 20, upsampler.maxNoiseLevel);
  const condition = conditionOf(upsampler, video, {seed, index, level, size});
  const noise = windowNoise({seed, index, part: 'upsampler', window: 0}, [count, ...size, unet.config.outChannels]);
  let made: tf.Tensor5D | undefined;
  try {
    const starts = chunkStarts(count, chunk, overlap);
    const each = (start: number): Denoise => {
      const low = frameRange(condition, start, start + chunk);
      return evaluate(upsampler, low, level, options.guidance, plan.stripBytes);
    };
    made = (await samplers[sampler]({
      denoise: (noisy, timesteps) =>
        overChunks(noisy as tf.Tensor5D, starts, chunk, (part, start) => each(start)(part, timesteps)),
      schedule,
      prediction,
      noise,
      steps,
      ...(onStep ? {onStep} : {}),
      ...(signal ? {signal} : {}),
    })) as tf.Tensor5D;
    if (latent) {
      const {autoencoder, scaleFactor} = latent;
      return await decodeVideo(autoencoder, made, {
        scaleFactor,
        memory,
        framesAtOnce: chunk,
        ...(signal ? {signal} : {}),
      });
    }
    return {data: await bytesOf(made), shape: [count, h * factor, w * factor, 3]};
  } finally {
    tf.dispose([condition, noise, ...(made ? [made] : [])]);
  }
}

/** Noised low-resolution frames of the size the model works at, [1,T,H,W,3]. Noise of a frame is its own, chunks or not. */
function conditionOf(
  {lowSchedule}: VideoUpsampler,
  {data, shape: [count, h, w]}: DecodedFrames,
  at: {seed: number; index: number; level: number; size: readonly [number, number]},
): tf.Tensor5D {
  const {seed, index, level, size} = at;
  return tf.tidy(() => {
    const low = framesToPixels(data, [1, count, h, w, 3]) as tf.Tensor5D;
    const noise = noiseTensor({seed, stream: 'noiseAugment', step: index}, low.shape);
    return lowResolutionCondition(low, {noise, levels: tf.tensor1d([level], 'int32'), schedule: lowSchedule}, size);
  });
}

/** One chunk's prediction, joined with its low-resolution frames. */
function evaluate(
  {unet}: VideoUpsampler,
  low: tf.Tensor5D,
  level: number,
  guidance: Omit<Guidance, 'given' | 'contextScale'> = {},
  stripBytes: number | undefined,
): Denoise {
  return (noisy, timesteps) =>
    tf.tidy(() => {
      const told = (conditions: UNetConditions): UNetConditions => ({
        ...conditions,
        classLabels: tf.tensor1d([level], 'int32'),
      });
      const own: Guidance = {
        ...guidance,
        conditions: told(guidance.conditions ?? {}),
        ...(guidance.unconditional ? {unconditional: told(guidance.unconditional)} : {}),
      };
      const latents = tf.concat([noisy, low], -1);
      const mode = unet.config.temporal ? 'video' : 'image';
      const onStrips = {
        forward: (inputs: UNetInputs) => unetOnStrips(unet, inputs as UNetInputs<tf.Tensor5D>, stripBytes ?? 0),
      };
      return guidedDenoise(
        stripBytes === undefined ? unet : (onStrips as Pick<UNet, 'forward'>),
        mode,
        own,
      )(latents, timesteps);
    });
}

/** `predict` of overlapping chunks of [1,T,...], mixed linearly where they overlap. */
function overChunks(
  noisy: tf.Tensor5D,
  starts: readonly number[],
  chunk: number,
  predict: (part: tf.Tensor5D, start: number) => tf.Tensor,
): tf.Tensor {
  if (starts.length === 1) return predict(noisy, 0);
  return tf.tidy(() => {
    const count = noisy.shape[1];
    const frames: tf.Tensor5D[][] = Array.from({length: count}, () => []);
    for (const start of starts) {
      const made = tf.tidy(() => predict(frameRange(noisy, start, start + chunk), start)) as tf.Tensor5D;
      for (let t = 0; t < chunk; t++) frames[start + t]!.push(frameRange(made, t, t + 1));
      made.dispose();
    }
    return tf.concat(
      frames.map((of, t) => mix(of, t, starts, chunk)),
      1,
    );
  });
}

/** A frame's predictions, each weighted by how far the frame lies within its chunk. */
function mix(predictions: readonly tf.Tensor5D[], t: number, starts: readonly number[], chunk: number): tf.Tensor5D {
  if (predictions.length === 1) return predictions[0]!;
  const weights = starts
    .filter(start => start <= t && t < start + chunk)
    .map(start => Math.min(t - start + 1, start + chunk - t));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return tf.addN(predictions.map((part, i) => tf.mul(part, weights[i]! / sum)));
}

async function bytesOf(pixels: tf.Tensor5D): Promise<Uint8Array> {
  const [, count, h, w] = pixels.shape;
  const data = new Uint8Array(count * h * w * 3);
  for (let t = 0; t < count; t++) {
    const frame = tf.tidy(() => pixelsToFrames(frameRange(pixels, t, t + 1)));
    data.set(await frame.data(), t * h * w * 3);
    frame.dispose();
  }
  return data;
}
