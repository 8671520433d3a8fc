// Noise -> latents: one video (or image) at a time, each a function of (seed, index) alone.
import {
  type NoiseSchedule,
  type Prediction,
  type SampleProgress,
  type SamplerName,
  samplers,
  samplingNoise,
} from '../diffusion/index.ts';
import type {UNet} from '../models/index.ts';
import type * as tf from '../tf.ts';

export interface LatentDiffusion {
  readonly unet: UNet;
  readonly schedule: NoiseSchedule;
  readonly prediction: Prediction;
}

export interface SampleOptions {
  /** Frames of the video; undefined samples a still image by the image model (alpha = 1). */
  readonly frames: number | undefined;
  /** [h, w] of the latents. */
  readonly latentSize: readonly [number, number];
  readonly sampler?: SamplerName;
  readonly steps: number;
  readonly seed: number;
  /** Which sample of the seed: sample i is the same however many are drawn. */
  readonly index: number;
  readonly onStep?: (progress: SampleProgress) => void;
}

/** Latents [1,T,h,w,C], or [1,h,w,C] for a still image. */
export async function sampleLatents(model: LatentDiffusion, options: SampleOptions): Promise<tf.Tensor> {
  const {unet, schedule, prediction} = model;
  const {frames, latentSize, sampler = 'ddim', steps, seed, index, onStep} = options;
  const shape = [...(frames === undefined ? [] : [frames]), ...latentSize, unet.config.inChannels];
  const noise = samplingNoise(seed, index, 1, shape);
  const mode = frames === undefined ? 'image' : 'video';
  try {
    return await samplers[sampler]({
      denoise: (noisy, timesteps) => unet.forward({latents: noisy, timesteps, mode}),
      schedule,
      prediction,
      noise,
      steps,
      ...(onStep ? {onStep} : {}),
    });
  } finally {
    noise.dispose();
  }
}
