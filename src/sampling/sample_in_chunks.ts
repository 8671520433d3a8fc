// Sampling a video longer than the model sees at once: every step goes over overlapping chunks of frames, mixes the
// predictions where chunks overlap, and moves a frame on as soon as no later chunk reads it. So what is held of the whole video
// is one state a frame (two for a sampler of two steps), not the sampler's intermediate results.
import {advance, type SamplerStep} from '../diffusion/index.ts';
import * as tf from '../tf.ts';
import {frameRange} from './given_frames.ts';

export interface ChunkedSampling {
  readonly steps: readonly SamplerStep[];
  /** First frames of the chunks, which cover all frames. */
  readonly starts: readonly number[];
  /** Frames of a chunk. */
  readonly chunk: number;
  /** What the model takes for the frames from `start` on: their states as the network is to see them [1,chunk,H,W,C], and more. */
  readonly join: (noisy: tf.Tensor5D, start: number) => tf.Tensor5D;
  readonly predict: (joined: tf.Tensor5D, timesteps: tf.Tensor1D) => tf.Tensor;
  readonly onStep?: (() => void) | undefined;
  /** Stops before the next chunk by throwing its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A frame under way: its state, and what the step before kept of it; [1,1,H,W,C]. */
interface FrameState {
  x: tf.Tensor;
  kept: tf.Tensor | undefined;
}

/** Frames of noise, each [1,1,H,W,C] and disposed of, -> frames of the sample. */
export function sampleInChunks(noise: readonly tf.Tensor5D[], options: ChunkedSampling): tf.Tensor5D[] {
  const {steps, starts, chunk, join, predict, onStep, signal} = options;
  const frames: FrameState[] = noise.map(x => ({x, kept: undefined}));
  // Weighted predictions of frames that a later chunk sees too.
  const mixed: (tf.Tensor | undefined)[] = [];
  try {
    for (const step of steps) {
      for (const [i, start] of starts.entries()) {
        signal?.throwIfAborted();
        const joined = tf.tidy(() => {
          const noisy = tf.concat(
            frames.slice(start, start + chunk).map(frame => frame.x),
            1,
          ) as tf.Tensor5D;
          return join(step.input === 1 ? noisy : tf.mul(noisy, step.input), start);
        });
        const made = tf.tidy(() => predict(joined, tf.fill([1], step.timestep, 'int32'))) as tf.Tensor5D;
        joined.dispose();
        for (let t = start; t < start + chunk; t++) {
          const own = frameRange(made, t - start, t - start + 1);
          const before = mixed[t];
          mixed[t] = tf.tidy(() => {
            const share = shareOf(t, start, starts, chunk);
            const weighted = share === 1 ? own : tf.mul(own, share);
            return before ? tf.add(before, weighted) : tf.clone(weighted);
          });
          tf.dispose([own, ...(before ? [before] : [])]);
        }
        made.dispose();
        for (let t = start; t < (starts[i + 1] ?? frames.length); t++) {
          moveOn(frames[t]!, step, mixed[t]!);
          mixed[t]!.dispose();
          mixed[t] = undefined;
        }
      }
      onStep?.();
    }
  } catch (error) {
    tf.dispose(frames.map(({x}) => x));
    throw error;
  } finally {
    tf.dispose([...frames.map(({kept}) => kept), ...mixed].flatMap(tensor => (tensor ? [tensor] : [])));
  }
  return frames.map(({x}) => x as tf.Tensor5D);
}

function moveOn(frame: FrameState, step: SamplerStep, output: tf.Tensor): void {
  const next = tf.tidy(() => advance(step, frame.x, output, frame.kept));
  tf.dispose([frame.x, ...(frame.kept ? [frame.kept] : [])]);
  frame.x = next.x;
  frame.kept = next.keep;
}

/** How much the chunk from `start` on has to say of frame t: by how far the frame lies within it. */
function shareOf(t: number, start: number, starts: readonly number[], chunk: number): number {
  const weight = (from: number) => Math.min(t - from + 1, from + chunk - t);
  const sum = starts.filter(from => from <= t && t < from + chunk).reduce((total, from) => total + weight(from), 0);
  return weight(start) / sum;
}
