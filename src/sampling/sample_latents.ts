// Noise -> latents: one video (or image) at a time, each a function of (seed, index) and its conditions alone.
import {
  type NoiseSchedule,
  type Prediction,
  type SampleProgress,
  type SamplerName,
  samplers,
} from '../diffusion/index.ts';
import type {UNet} from '../models/index.ts';
import * as tf from '../tf.ts';
import {type GivenFrames, givenTensor, withGiven} from './given_frames.ts';
import {type Guidance, guidedDenoise} from './guided_denoise.ts';
import {type SamplingPart, windowNoise} from './sampling_noise.ts';

export interface LatentDiffusion {
  readonly unet: UNet;
  readonly schedule: NoiseSchedule;
  readonly prediction: Prediction;
}

export interface SampleOptions {
  /** Frames of the video; undefined samples a still image by the image model (alpha = 1). */
  readonly frames: number | undefined;
  /** [h, w] of the latents: other sizes than trained are sampled convolutionally. */
  readonly latentSize: readonly [number, number];
  readonly sampler?: SamplerName;
  readonly steps: number;
  readonly seed: number;
  /** Which sample of the seed: sample i is the same however many are drawn. */
  readonly index: number;
  readonly guidance?: Omit<Guidance, 'given'>;
  /** Frames the video is to hold, for models of prediction and interpolation; they are in the result as they are. */
  readonly given?: GivenFrames;
  /** What of a pipeline this is; each has noise of its own. Default: key frames, window 0. */
  readonly part?: SamplingPart;
  readonly window?: number;
  readonly onStep?: (progress: SampleProgress) => void | Promise<void>;
  /** Stops between two steps by throwing its reason. */
  readonly signal?: AbortSignal;
}

/** Latents [1,T,h,w,C], or [1,h,w,C] for a still image. */
export async function sampleLatents(model: LatentDiffusion, options: SampleOptions): Promise<tf.Tensor> {
  const {unet, schedule, prediction} = model;
  const {frames, latentSize, sampler = 'ddim', steps, seed, index, guidance, given, onStep, signal} = options;
  const {part = 'keyFrames', window = 0} = options;
  const shape = [...(frames === undefined ? [] : [frames]), ...latentSize, unet.config.outChannels];
  const noise = windowNoise({seed, index, part, window}, shape);
  const context = given && frames !== undefined ? givenTensor(given, frames) : undefined;
  try {
    const sampled = await samplers[sampler]({
      denoise: guidedDenoise(unet, frames === undefined ? 'image' : 'video', {
        ...guidance,
        ...(context ? {given: context} : {}),
      }),
      schedule,
      prediction,
      noise,
      steps,
      ...(onStep ? {onStep} : {}),
      ...(signal ? {signal} : {}),
    });
    if (!given) return sampled;
    const whole = withGiven(sampled as tf.Tensor5D, given);
    sampled.dispose();
    return whole;
  } finally {
    tf.dispose([noise, ...(context ? [context] : [])]);
  }
}
