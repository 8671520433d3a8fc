// The noise that each part of a sample starts from: a function of (seed, sample, part, window) alone, so that a longer video
// begins with the same frames as a shorter one, and sample 3 is the same whether or not samples 0 to 2 were drawn.
import {noiseTensor} from '../diffusion/index.ts';
import type {StreamName} from '../random/index.ts';
import type * as tf from '../tf.ts';

const streamOfPart = {
  keyFrames: 'sampling',
  prediction: 'samplingPrediction',
  interpolation: 'samplingInterpolation',
  upsampler: 'samplingUpsampler',
} as const satisfies Record<string, StreamName>;

/** The part of a pipeline that noise is drawn for. */
export type SamplingPart = keyof typeof streamOfPart;

/** Random numbers a window may use: 2^24, as many as 8 frames of 640x820 with 4 channels. */
const WINDOW_STRIDE = 2 ** 24;
const WINDOWS = 2 ** 10;

export interface NoisePlace {
  readonly seed: number;
  /** Which sample of the seed. */
  readonly index: number;
  readonly part: SamplingPart;
  /** Which window of the part, from 0. */
  readonly window: number;
}

/**
 * Standard normals [1, ...shape]; `from`: not of the window's first numbers, but of those from there on.
 * @throws RangeError where a window is too large or there are too many.
 */
export function windowNoise({seed, index, part, window}: NoisePlace, shape: readonly number[], from = 0): tf.Tensor {
  const count = from + shape.reduce((product, size) => product * size, 1);
  if (window >= WINDOWS || (window > 0 && count > WINDOW_STRIDE))
    throw new RangeError(
      `Window ${window} of ${count} numbers: at most ${WINDOWS} windows of ${WINDOW_STRIDE} numbers each are sampled.`,
    );
  const offset = window * WINDOW_STRIDE + from;
  return noiseTensor({seed, stream: streamOfPart[part], step: index, offset}, [1, ...shape]);
}
