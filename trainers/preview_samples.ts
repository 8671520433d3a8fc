// Samples drawn while training: the same seeds every time, so that one sees the model change.
import type {ImageStageConfig, TemporalStageConfig} from '../src/config/schema.ts';
import type {AutoencoderKL, EncodedConditions} from '../src/models/index.ts';
import {decodeLatents, type LatentDiffusion, sampleLatents} from '../src/sampling/index.ts';
import * as tf from '../src/tf.ts';
import {previewFiles} from './preview_files.ts';

export async function previewSamples(
  model: LatentDiffusion,
  autoencoder: AutoencoderKL,
  scaleFactor: number,
  {
    config,
    folder,
    step,
    frames,
    conditions,
  }: {
    config: ImageStageConfig | TemporalStageConfig;
    folder: string;
    step: number;
    frames: number | undefined;
    /** Sample `i` is of what held-out clip `i` is of. */
    conditions: (i: number) => EncodedConditions;
  },
): Promise<string[]> {
  const {clips = 0, samplerSteps = 0} = config.preview ?? {};
  const [height, width] = config.data.size;
  const latentSize = [height / autoencoder.factor, width / autoencoder.factor] as const;
  const videos = [];
  for (let index = 0; index < clips; index++) {
    const own = conditions(index);
    const latents = await sampleLatents(model, {
      frames,
      latentSize,
      steps: samplerSteps,
      seed: config.run.seed,
      index,
      guidance: {conditions: own},
    });
    tf.dispose(own);
    videos.push(await decodeLatents(autoencoder, latents, scaleFactor));
    latents.dispose();
  }
  return previewFiles(folder, step, videos, frames === undefined ? undefined : (config.data.fps ?? 8));
}
