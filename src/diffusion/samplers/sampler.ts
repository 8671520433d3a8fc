// What the samplers share: their arguments, the loop over steps, and the algebra between x, eps, v and x0.
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

/**
 * A quantity as a combination of the sampler's state x and the network's output, both scalars in float64: everything
 * between two network evaluations is linear, so a step needs one multiplication per term.
 */
export interface Combination {
  x: number;
  output: number;
}

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

/** a.x * x + a.output * output. */
export function combine(a: Combination, x: tf.Tensor, output: tf.Tensor): tf.Tensor {
  return tf.add(tf.mul(x, a.x), tf.mul(output, a.output));
}

/**
 * Runs one `step` per timestep. A step returns the next state, and may keep a second tensor for the step after it.
 * Nothing but the result survives, on success or failure.
 */
export async function runSteps(
  inputs: SampleInputs,
  timesteps: readonly number[],
  step: (index: number, x: tf.Tensor, kept: tf.Tensor | undefined) => {x: tf.Tensor; keep?: tf.Tensor},
): Promise<tf.Tensor> {
  let x = tf.clone(inputs.noise);
  let kept: tf.Tensor | undefined;
  try {
    for (const [index, timestep] of timesteps.entries()) {
      inputs.signal?.throwIfAborted();
      const next = tf.tidy(() => step(index, x, kept));
      tf.dispose([x, ...(kept ? [kept] : [])]);
      x = next.x;
      kept = next.keep;
      await inputs.onStep?.({step: index + 1, steps: timesteps.length, timestep});
    }
  } catch (error) {
    tf.dispose(x);
    throw error;
  } finally {
    if (kept) tf.dispose(kept);
  }
  return x;
}

/** The network's output at one timestep for the whole batch. */
export function evaluate(inputs: SampleInputs, x: tf.Tensor, timestep: number): tf.Tensor {
  return inputs.denoise(x, tf.fill([x.shape[0]!], timestep, 'int32'));
}
