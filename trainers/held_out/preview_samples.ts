// Samples drawn while training: the same seeds every time, so that one sees the model change.
import type {CommonConfig} from '../../src/config/schema.ts';
import type {AutoencoderKL} from '../../src/models/index.ts';
import {
  decodeLatents,
  type GivenFrames,
  type LatentDiffusion,
  sampleLatents,
  type UNetConditions,
} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {previewFiles} from './preview_files.ts';

export interface PreviewOptions {
  readonly config: Pick<CommonConfig, 'data' | 'preview' | 'run'>;
  readonly folder: string;
  readonly step: number;
  /** undefined: still images. */
  readonly frames: number | undefined;
  /** Sample `i` is of what held-out clip `i` is of. */
  conditions(i: number): UNetConditions;
  /** The frames that sample `i` is to hold, by stages that are given some. */
  given?(i: number): GivenFrames;
}

export async function previewSamples(
  model: LatentDiffusion,
  autoencoder: AutoencoderKL,
  scaleFactor: number,
  {config, folder, step, frames, conditions, given}: PreviewOptions,
): Promise<string[]> {
  const {clips = 0, samplerSteps = 0} = config.preview ?? {};
  const [height, width] = config.data.size;
  const latentSize = [height / autoencoder.factor, width / autoencoder.factor] as const;
  const videos = [];
  for (let index = 0; index < clips; index++) {
    const own = conditions(index);
    const known = given?.(index);
    const latents = await sampleLatents(model, {
      frames,
      latentSize,
      steps: samplerSteps,
      seed: config.run.seed,
      index,
      guidance: {conditions: own},
      ...(known ? {given: known} : {}),
    });
    tf.dispose([own, known?.latents ?? []]);
    videos.push(await decodeLatents(autoencoder, latents, scaleFactor));
    latents.dispose();
  }
  return previewFiles(folder, step, videos, frames === undefined ? undefined : (config.data.fps ?? 8));
}
