// Held-out noise-prediction loss: the same clips, the same noise, the same timesteps at every evaluation, so that two
// figures differ by the weights alone.
import {
  addNoise,
  type Denoise,
  type NoiseSchedule,
  noiseTensor,
  type Prediction,
  predictionTarget,
} from '../../src/diffusion/index.ts';
import * as tf from '../../src/tf.ts';

export interface HeldOutSet {
  /** Latents of each clip, [1,T,h,w,C]; or its frames as images, [T,1,h,w,C]. */
  readonly clips: readonly tf.Tensor[];
  readonly seed: number;
  /** How many quantiles of the timesteps are measured. */
  readonly quantiles: number;
}

/** Middle of each of `count` equal ranges of 0..steps-1. */
export function quantileTimesteps(count: number, steps: number): number[] {
  return Array.from({length: count}, (_, i) => Math.floor(((i + 0.5) * steps) / count));
}

/** What a held-out loss is of, besides the clips. */
export interface HeldOutOptions {
  /** Frames of clip `i` in the order to show them (default: as they are); noise stays with its place in time. */
  readonly order?: (clip: number) => readonly number[];
  /** The frames whose error counts; all by default. */
  readonly frames?: readonly number[];
}

export interface HeldOutLoss {
  readonly mean: number;
  readonly perTimestep: {timestep: number; loss: number}[];
}

/**
 * Mean squared error of the prediction, per timestep quantile and over all.
 * @param denoise of clip `i`: [N,T,h,w,C] and timesteps [N] -> prediction of the same shape
 */
export async function heldOutLoss(
  set: HeldOutSet,
  denoise: (clip: number) => Denoise,
  {schedule, prediction}: {schedule: NoiseSchedule; prediction: Prediction},
  {order, frames}: HeldOutOptions = {},
): Promise<HeldOutLoss> {
  const counted = <T extends tf.Tensor>(x: T): T => (frames ? tf.gather(x, [...frames], 1) : x);
  const perTimestep: {timestep: number; loss: number}[] = [];
  for (const timestep of quantileTimesteps(set.quantiles, schedule.config.steps)) {
    let sum = 0;
    for (const [index, clip] of set.clips.entries()) {
      const loss = tf.tidy(() => {
        const latents = order ? tf.gather(clip, [...order(index)], 1) : clip;
        const at = {seed: set.seed, stream: 'heldOutNoise' as const, step: index * schedule.config.steps + timestep};
        const noise = noiseTensor(at, clip.shape);
        const timesteps = tf.tensor1d(new Array<number>(clip.shape[0]!).fill(timestep), 'int32');
        const predicted = denoise(index)(addNoise(latents, noise, timesteps, schedule), timesteps);
        const target = predictionTarget(prediction, latents, noise, timesteps, schedule);
        return tf.mean(tf.squaredDifference(counted(predicted), counted(target)));
      });
      sum += (await loss.data())[0]!;
      loss.dispose();
    }
    perTimestep.push({timestep, loss: sum / set.clips.length});
  }
  return {mean: perTimestep.reduce((total, {loss}) => total + loss, 0) / perTimestep.length, perTimestep};
}

/** The figures of a loss per timestep, by name. */
export function timestepFigures(perTimestep: readonly {timestep: number; loss: number}[]): Record<string, number> {
  return Object.fromEntries(perTimestep.map(({timestep, loss}) => [`loss.t${timestep}`, loss]));
}
