// What an upsampler is conditioned on: the low-resolution video, noised to a level that the UNet is told (Video LDM, "Temporal
// Fine-tuning of Super-Resolution Models": c = alpha x + sigma eps, joined channel-wise frame by frame), so that it mends
// what the model before it got wrong instead of copying it.
import * as tf from '../tf.ts';
import {addNoise} from './objective.ts';
import type {NoiseSchedule} from './schedule.ts';

/** Pixels [B,T,H,W,3] -> [B,T,H/factor,W/factor,3], each the mean of factor x factor pixels. */
export function shrink(pixels: tf.Tensor5D, factor: number): tf.Tensor5D {
  const [b, t, h, w, c] = pixels.shape;
  return tf.tidy(() => {
    const frames: tf.Tensor4D = tf.reshape(pixels, [b * t, h, w, c]);
    return tf.reshape(tf.avgPool(frames, factor, factor, 'valid'), [b, t, h / factor, w / factor, c]);
  });
}

/**
 * Low-resolution pixels [B,T,h,w,3] noised to `levels` (int32 [B], one a clip) and, where the upsampler's own
 * representation is of another size, enlarged to [height, width].
 */
export function lowResolutionCondition(
  low: tf.Tensor5D,
  {noise, levels, schedule}: {noise: tf.Tensor; levels: tf.Tensor1D; schedule: NoiseSchedule},
  size: readonly [number, number],
): tf.Tensor5D {
  return tf.tidy(() => enlarge(addNoise(low, noise, levels, schedule) as tf.Tensor5D, size));
}

/** [B,T,h,w,C] -> [B,T,height,width,C] by linear interpolation. */
export function enlarge(low: tf.Tensor5D, [height, width]: readonly [number, number]): tf.Tensor5D {
  const [b, t, h, w, c] = low.shape;
  return tf.tidy(() => {
    const frames: tf.Tensor4D = tf.reshape(low, [b * t, h, w, c]);
    const large = h === height && w === width ? frames : tf.image.resizeBilinear(frames, [height, width], false, true);
    return tf.reshape(large, [b, t, height, width, c]);
  });
}
