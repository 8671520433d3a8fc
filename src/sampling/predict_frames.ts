// Long videos: a prediction model goes on from the last frames, again and again (Video LDM, "Prediction Models for
// Long-Term Generation"): from one given frame first (S = 1), then from two, which tell of motion (S = 2).
import * as tf from '../tf.ts';
import {frameRange} from './given_frames.ts';
import {type LatentDiffusion, type SampleOptions, sampleLatents} from './sample_latents.ts';

export interface PredictOptions extends Omit<SampleOptions, 'frames' | 'latentSize' | 'given' | 'part' | 'window'> {
  /** Frames of the whole video, those given included. */
  readonly frames: number;
  /** Frames the model was trained on: what it sees and makes at a time. */
  readonly clip: number;
  /** Called before each window with its number from 0 and how many there are. */
  readonly onWindow?: (window: number, windows: number) => void;
}

/** How many times the model is asked for `frames` frames from `known` on. */
export function predictionWindows(known: number, frames: number, clip: number): number {
  let windows = 0;
  for (let have = known; have < frames; windows++) have += clip - Math.min(2, have);
  return windows;
}

/** `first` [1,S,h,w,C] (S >= 1) and what follows, [1,frames,h,w,C]. `first` is not disposed of. */
export async function predictFrames(
  model: LatentDiffusion,
  first: tf.Tensor5D,
  options: PredictOptions,
): Promise<tf.Tensor5D> {
  const {frames, clip, onWindow, ...rest} = options;
  if (clip < 3) throw new RangeError(`A prediction model of ${clip} frames makes none after two given ones.`);
  const [, known, h, w] = first.shape;
  const windows = predictionWindows(known, frames, clip);
  let video = tf.clone(first);
  try {
    for (let window = 0; window < windows; window++) {
      onWindow?.(window, windows);
      const have = video.shape[1];
      const s = Math.min(2, have);
      const last = frameRange(video, have - s, have);
      try {
        const given = {latents: last, positions: s === 1 ? [0] : [0, 1]};
        const next = await sampleLatents(model, {
          ...rest,
          frames: clip,
          latentSize: [h, w],
          given,
          part: 'prediction',
          window,
        });
        const longer = tf.tidy(() => tf.concat([video, frameRange(next as tf.Tensor5D, s, clip)], 1));
        tf.dispose([video, next]);
        video = longer;
      } finally {
        last.dispose();
      }
    }
    return video.shape[1] === frames ? tf.clone(video) : frameRange(video, 0, Math.min(frames, video.shape[1]));
  } finally {
    video.dispose();
  }
}
