// A model that enlarges frames, in pixels or in the latents of an autoencoder.
import type {NoiseSchedule} from '../diffusion/index.ts';
import type {AutoencoderKL} from '../models/index.ts';
import type {LatentDiffusion} from './sample_latents.ts';

export interface VideoUpsampler extends LatentDiffusion {
  readonly factor: number;
  readonly maxNoiseLevel: number;
  /** Of the noise on the low-resolution frames. */
  readonly lowSchedule: NoiseSchedule;
  /** Of the latents it works on; absent: it works on pixels. */
  readonly latent: {readonly autoencoder: AutoencoderKL; readonly scaleFactor: number} | undefined;
}

/** [H, W] of what it denoises, for frames of [h, w]. */
export function workingSize(
  {factor, latent}: Pick<VideoUpsampler, 'factor' | 'latent'>,
  [h, w]: readonly [number, number],
): [number, number] {
  const ratio = latent?.autoencoder.factor ?? 1;
  return [(h * factor) / ratio, (w * factor) / ratio];
}
