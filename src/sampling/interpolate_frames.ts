// Between key frames: three new frames between two given ones, T -> 4 (T - 1) + 1 (Video LDM, "Temporal Interpolation for
// High Frame Rates"); the same model a second time for 16 times the rate, told which by a condition.
import * as tf from '../tf.ts';
import {frameRange} from './given_frames.ts';
import {type LatentDiffusion, type SampleOptions, sampleLatents} from './sample_latents.ts';

/** Frames for each interval between two key frames. */
export const INTERPOLATION = 4;

export interface InterpolateOptions extends Omit<SampleOptions, 'frames' | 'latentSize' | 'given' | 'part' | 'window'> {
  /** Frames the model was trained on; it interpolates the intervals that fit into them at a time. */
  readonly clip: number;
  /** 0: between key frames (T -> 4T); 1: between the frames of the first interpolation (4T -> 16T). Each has its own noise. */
  readonly level: 0 | 1;
  readonly onWindow?: (window: number, windows: number) => void;
}

/** How many frames `frames` become: 8 -> 29 -> 113. */
export function interpolatedLength(frames: number): number {
  return (frames - 1) * INTERPOLATION + 1;
}

/** First key frame and number of intervals of each window. A short rest is done by a window that reaches back. */
export function interpolationWindows(keys: number, clip: number): {start: number; intervals: number}[] {
  const most = Math.floor((clip - 1) / INTERPOLATION);
  if (most < 1) throw new RangeError(`An interpolation model of ${clip} frames holds no interval of ${INTERPOLATION}.`);
  const all = keys - 1;
  const intervals = Math.min(most, all);
  const count = all === 0 ? 0 : Math.ceil(all / intervals);
  return Array.from({length: count}, (_, i) => ({start: Math.min(i * intervals, all - intervals), intervals}));
}

/** Key frames [1,K,h,w,C] -> [1, 4 (K-1) + 1, h,w,C], the key frames as they are. */
export async function interpolateFrames(
  model: LatentDiffusion,
  keys: tf.Tensor5D,
  options: InterpolateOptions,
): Promise<tf.Tensor5D> {
  const {clip, level, onWindow, ...rest} = options;
  const [, count, h, w] = keys.shape;
  const windows = interpolationWindows(count, clip);
  const parts: tf.Tensor5D[] = [];
  let done = 0;
  try {
    for (const [i, {start, intervals}] of windows.entries()) {
      onWindow?.(i, windows.length);
      const own = frameRange(keys, start, start + intervals + 1);
      try {
        const positions = Array.from({length: intervals + 1}, (_, k) => k * INTERPOLATION);
        const made = await sampleLatents(model, {
          ...rest,
          frames: interpolatedLength(intervals + 1),
          latentSize: [h, w],
          given: {latents: own, positions},
          part: 'interpolation',
          // Half of the windows a part may have for each level.
          window: level * 512 + i,
        });
        // Intervals that an earlier window made stay as they are; the closing key frame comes with the next part.
        parts.push(frameRange(made as tf.Tensor5D, (done - start) * INTERPOLATION, intervals * INTERPOLATION));
        made.dispose();
        done = start + intervals;
      } finally {
        own.dispose();
      }
    }
    return tf.tidy(() => tf.concat([...parts, frameRange(keys, count - 1, count)], 1));
  } finally {
    tf.dispose(parts);
  }
}
