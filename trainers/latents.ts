// Batch -> latents, by the frozen autoencoder: uint8 frames -> pixels -> raw latents (sampled) -> latents.
import type {VideoBatch} from '../datasets/index.ts';
import {type AutoencoderKL, framesToPixels, rawToLatents, sampleRawLatents} from '../src/models/index.ts';
import {normals} from '../src/random/index.ts';
import * as tf from '../src/tf.ts';
import type {StepPlace} from './recipe.ts';

/** Random numbers a micro-batch may use of one stream; 256 micro-batches fit. */
const MICRO_BATCH_STRIDE = 2 ** 26;

/** Pixels [B*T,H,W,3] in [-1,1] of a batch. */
export function batchPixels(batch: VideoBatch): tf.Tensor4D {
  const [b, t, h, w] = batch.shape;
  return tf.tidy(() => framesToPixels(tf.tensor4d(batch.frames, [b * t, h, w, 3], 'int32')) as tf.Tensor4D);
}

/**
 * Latents [B,T,h,w,C] of a batch, the posterior sampled with noise of the step (LDM's way), or its mean without `place`.
 */
export function encodeBatch(autoencoder: AutoencoderKL, batch: VideoBatch, scaleFactor: number, random?: {seed: number; place: StepPlace}): tf.Tensor5D {
  const [b, t] = batch.shape;
  return tf.tidy(() => {
    const {mean, logvar} = autoencoder.encode(batchPixels(batch));
    const raw = random
      ? sampleRawLatents({mean, logvar}, tf.tensor(normals(placeOf('posterior', random), mean.size), mean.shape) as tf.Tensor4D)
      : mean;
    const [, h = 0, w = 0, c = 0] = raw.shape;
    return tf.reshape(rawToLatents(raw, scaleFactor), [b, t, h, w, c]) as tf.Tensor5D;
  });
}

/** Place in a stream of random numbers: micro-batches of a step lie a fixed stretch apart. */
export function placeOf<S extends string>(stream: S, {seed, place}: {seed: number; place: StepPlace}): {seed: number; stream: S; step: number; offset: number} {
  return {seed, stream, step: place.step, offset: place.microBatch * MICRO_BATCH_STRIDE};
}
