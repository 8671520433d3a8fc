// Noise -> latents: one video (or image) at a time, each a function of (seed, index) alone.
import {type NoiseSchedule, type PredictionType, type SamplerName, samplers} from '../diffusion/index.ts';
import type {UNet} from '../models/index.ts';
import {normals} from '../random/index.ts';
import * as tf from '../tf.ts';

export interface LatentDiffusion {
  readonly unet: UNet;
  readonly schedule: NoiseSchedule;
  readonly prediction: PredictionType;
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
  readonly onStep?: (done: number, of: number) => void;
}

/** Latents [1,T,h,w,C], or [1,h,w,C] for a still image. */
export function sampleLatents({unet, schedule, prediction}: LatentDiffusion, options: SampleOptions): tf.Tensor {
  const {frames, latentSize, sampler = 'ddim', steps, seed, index, onStep} = options;
  const shape = [1, ...(frames === undefined ? [] : [frames]), ...latentSize, unet.config.inChannels];
  const noise = tf.tensor(normals({seed, stream: 'sampling', step: index}, shape.reduce((a, b) => a * b, 1)), shape);
  try {
    return samplers[sampler]({
      denoise: (noisy, timesteps) => unet.forward({latents: noisy, timesteps, mode: frames === undefined ? 'image' : 'video'}),
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
