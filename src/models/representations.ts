// The four representations of a video and the only conversions between them: frames (uint8 RGB), pixels (float32 in [-1,1]),
// rawLatents (the encoder's mean and log variance, or a sample, unscaled: what shards store), latents (rawLatents x scale
// factor: what diffusion sees). The scale can change without encoding anything anew.
import {framesToPixels as toPixels} from '../ops/index.ts';
import * as tf from '../tf.ts';

/** The encoder's answer: a normal distribution for every latent. */
export interface Posterior {
  readonly mean: tf.Tensor4D;
  readonly logvar: tf.Tensor4D;
}

/** Frames (0..255) -> pixels (-1..1): the bytes as decoded, with their shape (the quick way), or a tensor. */
export function framesToPixels(frames: Uint8Array, shape: readonly number[]): tf.Tensor;
export function framesToPixels<T extends tf.Tensor>(frames: T): T;
export function framesToPixels(frames: Uint8Array | tf.Tensor, shape: readonly number[] = []): tf.Tensor {
  if (frames instanceof Uint8Array) return toPixels(frames, shape);
  return tf.tidy(() => tf.sub(tf.div(tf.cast(frames, 'float32'), 127.5), 1));
}

/** Pixels -> frames: int32 0..255, rounded, what lies outside cut off. */
export function pixelsToFrames<T extends tf.Tensor>(pixels: T): T {
  return tf.tidy(() => tf.cast(tf.round(tf.clipByValue(tf.mul(tf.add(pixels, 1), 127.5), 0, 255)), 'int32')) as T;
}

/** mean + exp(logvar / 2) x noise. */
export function sampleRawLatents({mean, logvar}: Posterior, noise: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => tf.add(mean, tf.mul(tf.exp(tf.mul(logvar, 0.5)), noise)));
}

export function rawToLatents<T extends tf.Tensor>(rawLatents: T, scaleFactor: number): T {
  return tf.mul(rawLatents, scaleFactor) as T;
}

export function latentsToRaw<T extends tf.Tensor>(latents: T, scaleFactor: number): T {
  return tf.div(latents, scaleFactor) as T;
}
