// Batch -> what the diffusion loss takes: frames -> pixels -> raw latents (sampled from the posterior) -> latents, by the
// frozen autoencoder; noise and timesteps drawn for the step.
import type {VideoBatch} from '../../datasets/index.ts';
import {type NoiseSchedule, noiseTensor, offsetNoise} from '../../src/diffusion/index.ts';
import {
  type AutoencoderKL,
  framesToPixels,
  type Posterior,
  rawToLatents,
  sampleRawLatents,
} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {integers, type StreamName} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import type {StepPlace} from '../recipe.ts';

/** Random numbers that one micro-batch may use of a stream; 256 micro-batches fit into a step. */
const MICRO_BATCH_STRIDE = 2 ** 26;

/** The run's seed and where in the run numbers are drawn. */
export interface StepRandom {
  readonly seed: number;
  readonly place: StepPlace;
}

export type DiffusionInputs = {latents: tf.Tensor; noise: tf.Tensor; timesteps: tf.Tensor1D};

/** Pixels [B*T,H,W,3] in [-1,1] of a batch. @throws UserError for a batch of latents. */
export function batchPixels(batch: VideoBatch): tf.Tensor4D {
  const [b, t, h, w] = batch.shape;
  if (batch.latents)
    throw new UserError('The shards hold latents, but pixels are needed here: name shards of videos or images.');
  return tf.tidy(() => framesToPixels(tf.tensor4d(batch.frames, [b * t, h, w, 3], 'int32')));
}

/** What the encoder says of a batch's frames, [B*T,h,w,C]: now, or beforehand where the shards hold latents. */
export function batchPosterior(autoencoder: AutoencoderKL, batch: VideoBatch): Posterior {
  if (!batch.latents) {
    const pixels = batchPixels(batch);
    const posterior = autoencoder.encode(pixels);
    pixels.dispose();
    return posterior;
  }
  const {mean, logvar, shape} = batch.latents;
  const [b, t, h, w, c] = shape;
  const perFrame: [number, number, number, number] = [b * t, h, w, c];
  return {mean: tf.tensor4d(mean, perFrame), logvar: tf.tensor4d(logvar, perFrame)};
}

/** The same as clips, [B,T,H,W,3]. */
export function clipPixels(batch: VideoBatch): tf.Tensor5D {
  const [b, t, h, w] = batch.shape;
  return tf.tidy(() => tf.reshape<tf.Rank.R5>(batchPixels(batch), [b, t, h, w, 3]));
}

/** Latents [B,T,h,w,C]: a sample of the posterior as LDM trains on, or its mean without `random`. */
export function encodeBatch(
  autoencoder: AutoencoderKL,
  scaleFactor: number,
  batch: VideoBatch,
  random?: StepRandom,
): tf.Tensor5D {
  const [b, t] = batch.shape;
  return tf.tidy(() => {
    const posterior = batchPosterior(autoencoder, batch);
    const {mean} = posterior;
    const raw = random
      ? sampleRawLatents(posterior, noiseTensor(placeOf('posterior', random), mean.shape) as tf.Tensor4D)
      : mean;
    return tf.reshape<tf.Rank.R5>(rawToLatents(raw, scaleFactor), [
      b,
      t,
      ...(mean.shape.slice(1) as [number, number, number]),
    ]);
  });
}

/** Latents, noise and timesteps of a step. `framesAre: 'images'` makes every frame a sample of its own, [B*T,1,h,w,C]. */
export function drawDiffusion(draw: {
  autoencoder: AutoencoderKL;
  frozen: {scaleFactor: number};
  batch: VideoBatch;
  schedule: NoiseSchedule;
  random: StepRandom;
  framesAre: 'clip' | 'images';
  /** Strength of the noise that each sample shares per channel. */
  offset?: number;
}): DiffusionInputs {
  const {autoencoder, frozen, batch, schedule, random, framesAre, offset = 0} = draw;
  return tf.tidy(() => {
    const clips = encodeBatch(autoencoder, frozen.scaleFactor, batch, random);
    const [b, t, ...frame] = clips.shape;
    const latents = framesAre === 'images' ? tf.reshape(clips, [b * t, 1, ...frame]) : clips;
    const count = latents.shape[0]!;
    const timesteps = tf.tensor1d(integers(placeOf('timesteps', random), count, schedule.config.steps), 'int32');
    const noise = noiseTensor(placeOf('noise', random), latents.shape);
    if (offset === 0) return {latents, noise, timesteps};
    const shared = noiseTensor(placeOf('offsetNoise', random), [count, 1, 1, 1, latents.shape[4]!]);
    return {latents, noise: offsetNoise(noise, shared, offset), timesteps};
  });
}

/** The fixed latents of held-out clips, each [1,T,h,w,C] (as images [T,1,h,w,C]), kept until disposed of. */
export function encodeHeldOut(
  autoencoder: AutoencoderKL,
  scaleFactor: number,
  clips: readonly VideoBatch[],
  framesAre: 'clip' | 'images' = 'clip',
): tf.Tensor[] {
  return clips.map(clip =>
    tf.tidy(() => {
      const latents = encodeBatch(autoencoder, scaleFactor, clip);
      return framesAre === 'clip' ? latents : tf.reshape(latents, [-1, 1, ...latents.shape.slice(2)]);
    }),
  );
}

/** A place in a stream of random numbers: the micro-batches of a step lie a fixed stretch apart. */
export function placeOf<S extends StreamName>(
  stream: S,
  {seed, place}: StepRandom,
): {seed: number; stream: S; step: number; offset: number} {
  return {seed, stream, step: place.step, offset: place.microBatch * MICRO_BATCH_STRIDE};
}
