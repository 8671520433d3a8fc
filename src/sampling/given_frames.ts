// Given frames as a prediction or interpolation model takes them: (mask x latents, mask), the paper's c_S.
import * as tf from '../tf.ts';

/** Latents of known frames and where in the clip each belongs. */
export interface GivenFrames {
  /** [1,S,h,w,C] */
  readonly latents: tf.Tensor5D;
  /** Index in the clip of each of the S frames, ascending. */
  readonly positions: readonly number[];
}

/** c_S = (mask x latents, mask) of a clip of `frames` frames, [1,frames,h,w,C+1]. */
export function givenTensor({latents, positions}: GivenFrames, frames: number): tf.Tensor5D {
  const [b, s, h, w, c] = latents.shape;
  if (
    b !== 1 ||
    s !== positions.length ||
    positions.some((at, i) => at < 0 || at >= frames || at <= (positions[i - 1] ?? -1))
  )
    throw new RangeError(
      `Given frames of shape [${latents.shape}] do not fit the positions [${positions}] in a clip of ${frames} frames.`,
    );
  return tf.tidy(() => {
    const marked = tf.concat([latents, tf.ones([1, s, h, w, 1])], 4);
    return placed(marked as tf.Tensor5D, positions, frames, c + 1);
  });
}

/** `clip` [1,T,h,w,C] with the given frames in the place of its own. */
export function withGiven(clip: tf.Tensor5D, {latents, positions}: GivenFrames): tf.Tensor5D {
  return tf.tidy(() => {
    const frames = clip.shape[1];
    const rows = Array.from({length: frames}, (_, t) => {
      const at = positions.indexOf(t);
      return at < 0 ? frameRange(clip, t, t + 1) : frameRange(latents, at, at + 1);
    });
    return tf.concat(rows, 1);
  });
}

/** Frames from .. to-1 of a clip [1,T,h,w,C]. */
export function frameRange(clip: tf.Tensor5D, from: number, to: number): tf.Tensor5D {
  const [b, , h, w, c] = clip.shape;
  return tf.slice(clip, [0, from, 0, 0, 0], [b, to - from, h, w, c]);
}

function placed(frames: tf.Tensor5D, positions: readonly number[], count: number, channels: number): tf.Tensor5D {
  const [, , h, w] = frames.shape;
  const none = tf.zeros<tf.Rank.R5>([1, 1, h, w, channels]);
  const rows = Array.from({length: count}, (_, t) => {
    const at = positions.indexOf(t);
    return at < 0 ? none : frameRange(frames, at, at + 1);
  });
  return tf.concat(rows, 1);
}
