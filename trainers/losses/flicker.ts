// How much the error of a video changes from frame to frame: what layers over time in decoders and upsamplers are to lower.
import * as tf from '../../src/tf.ts';

/**
 * Flicker: mean absolute change of the error between neighbouring frames, of pixels [B,T,H,W,3]. An error that stands still
 * is none. Undefined for clips of one frame.
 */
export function flicker(made: tf.Tensor5D, truth: tf.Tensor5D): tf.Scalar | undefined {
  const [b, t, ...frame] = truth.shape;
  if (t < 2) return undefined;
  return tf.tidy(() => {
    const error = tf.reshape(tf.sub(made, truth), [b, t, -1]) as tf.Tensor3D;
    const size = frame.reduce((product, side) => product * side, 1);
    const [later, earlier] = [1, 0].map(from => tf.slice(error, [0, from, 0], [b, t - 1, size]));
    return tf.mean(tf.abs(tf.sub(later!, earlier!))) as tf.Scalar;
  });
}
