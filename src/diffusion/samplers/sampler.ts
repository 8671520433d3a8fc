// What the samplers share: their arguments, the algebra between x, eps, v and x0, and the loop over steps. Between two
// evaluations of the network everything is linear, so a sampler is a table of numbers; who applies it (to a batch here, to
// the frames of a long video one by one, in a browser by ONNX) need not know which sampler it is.
import * as tf from '../../tf.ts';
import type {Denoise, Prediction} from '../objective.ts';
import type {NoiseSchedule} from '../schedule.ts';

export interface SampleProgress {
  /** Steps done, from 1 to `steps`. */
  step: number;
  steps: number;
  timestep: number;
}

export interface SampleInputs {
  denoise: Denoise;
  schedule: NoiseSchedule;
  prediction: Prediction;
  /** Standard normal noise [B, ...]; not disposed of. */
  noise: tf.Tensor;
  steps: number;
  /** Called after each step, and awaited. */
  onStep?: (progress: SampleProgress) => void | Promise<void>;
  /** Stops before the next step by throwing its reason. */
  signal?: AbortSignal;
}

/** Turns noise into a sample of the same shape. */
export type Sampler = (inputs: SampleInputs) => Promise<tf.Tensor>;

/** A quantity as a combination of the sampler's state x and the network's output, both scalars in float64. */
export interface Combination {
  readonly x: number;
  readonly output: number;
}

/** One step of a sampler; the state of the first is the noise. */
export interface SamplerStep {
  readonly timestep: number;
  /** The network sees the state times this. */
  readonly input: number;
  /** The next state; `kept`: how much of what the step before kept. */
  readonly next: Combination & {readonly kept: number};
  /** What the step after reads besides the state; absent: nothing. */
  readonly keep?: Combination;
}

/** @throws RangeError unless 1 <= steps <= the schedule's number, and for eps where no signal is left. */
export type SamplerSteps = (schedule: NoiseSchedule, prediction: Prediction, steps: number) => SamplerStep[];

/** The predicted clean latents x0, for a state x = alpha x0 + sigma eps. */
export function cleanOf(prediction: Prediction, alpha: number, sigma: number): Combination {
  if (prediction === 'v') return {x: alpha, output: -sigma};
  if (alpha === 0)
    throw new RangeError('A model that predicts eps cannot start where no signal is left: it must predict v.');
  return {x: 1 / alpha, output: -sigma / alpha};
}

/** The predicted noise eps, for a state x = alpha x0 + sigma eps. */
export function noiseOf(prediction: Prediction, alpha: number, sigma: number): Combination {
  return prediction === 'v' ? {x: sigma, output: alpha} : {x: 0, output: 1};
}

export function weighted(...terms: [weight: number, of: Combination][]): Combination {
  let [x, output] = [0, 0];
  for (const [weight, of] of terms) {
    x += weight * of.x;
    output += weight * of.output;
  }
  return {x, output};
}

/** What a step makes of a state, of the network's output for it and of what the step before kept. */
export function advance(
  {next, keep}: SamplerStep,
  x: tf.Tensor,
  output: tf.Tensor,
  kept: tf.Tensor | undefined,
): {x: tf.Tensor; keep?: tf.Tensor} {
  const combined = (of: Combination) => tf.tidy(() => tf.add(tf.mul(x, of.x), tf.mul(output, of.output)));
  const plain = combined(next);
  const moved = kept && next.kept !== 0 ? tf.tidy(() => tf.add(plain, tf.mul(kept, next.kept))) : plain;
  if (moved !== plain) plain.dispose();
  return {x: moved, ...(keep ? {keep: combined(keep)} : {})};
}

/** Runs a table of steps. Nothing but the result survives, on success or failure. */
export async function runSteps(
  {denoise, noise, onStep, signal}: Omit<SampleInputs, 'schedule' | 'prediction' | 'steps'>,
  steps: readonly SamplerStep[],
): Promise<tf.Tensor> {
  let x = tf.clone(noise);
  let kept: tf.Tensor | undefined;
  try {
    for (const [index, step] of steps.entries()) {
      signal?.throwIfAborted();
      const {timestep, input} = step;
      const next = tf.tidy(() => {
        const seen = input === 1 ? x : tf.mul(x, input);
        return advance(step, x, denoise(seen, tf.fill([x.shape[0]!], timestep, 'int32')), kept);
      });
      tf.dispose([x, ...(kept ? [kept] : [])]);
      x = next.x;
      kept = next.keep;
      await onStep?.({step: index + 1, steps: steps.length, timestep});
    }
  } catch (error) {
    tf.dispose(x);
    throw error;
  } finally {
    if (kept) tf.dispose(kept);
  }
  return x;
}
