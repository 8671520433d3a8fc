// The training objective: noise the latents, let the network predict eps or v, and take the mean squared error
// (Ho et al. 2020, eq. 14; Salimans and Ho 2022 for v; Video LDM uses both). Timesteps stay tensors, so that a step
// uploads nothing and can be replayed.
import * as tf from '../tf.ts';
import {type NoiseSchedule, snr} from './schedule.ts';

/** What the network predicts: the noise, or v = alpha eps - sigma x. */
export type Prediction = 'eps' | 'v';

/** The network: noisy latents [B, ...] and timesteps [B] (int32) to a prediction of the latents' shape. */
export type Denoise = (noisy: tf.Tensor, timesteps: tf.Tensor1D) => tf.Tensor;

/** Weight of each timestep's error: the same for all, or min-SNR with its gamma (5 in the paper). */
export type Weighting = {kind: 'uniform'} | {kind: 'min_snr'; gamma: number};

/** x_t = alpha_t x + sigma_t eps; timesteps [B] int32, x and noise [B, ...]. */
export function addNoise(x: tf.Tensor, noise: tf.Tensor, timesteps: tf.Tensor1D, schedule: NoiseSchedule): tf.Tensor {
  const [alpha, sigma] = alphaSigma(timesteps, schedule, x.rank);
  return tf.add(tf.mul(alpha, x), tf.mul(sigma, noise));
}

/** What the network should have said: eps, or v = alpha_t eps - sigma_t x (Salimans and Ho 2022, appendix D). */
export function predictionTarget(
  prediction: Prediction,
  x: tf.Tensor,
  noise: tf.Tensor,
  timesteps: tf.Tensor1D,
  schedule: NoiseSchedule,
): tf.Tensor {
  if (prediction === 'eps') return noise;
  const [alpha, sigma] = alphaSigma(timesteps, schedule, x.rank);
  return tf.sub(tf.mul(alpha, noise), tf.mul(sigma, x));
}

export interface DiffusionLossInputs {
  denoise: Denoise;
  /** Clean latents [B, ...]. */
  latents: tf.Tensor;
  /** Standard normal noise of the same shape. */
  noise: tf.Tensor;
  /** [B] int32. */
  timesteps: tf.Tensor1D;
  schedule: NoiseSchedule;
  prediction: Prediction;
  weighting?: Weighting;
}

/** Weighted mean squared error of each sample, [B]. */
export function diffusionLosses(inputs: DiffusionLossInputs): tf.Tensor1D {
  const {denoise, latents, noise, timesteps, schedule, prediction, weighting = {kind: 'uniform'}} = inputs;
  const noisy = addNoise(latents, noise, timesteps, schedule);
  const target = predictionTarget(prediction, latents, noise, timesteps, schedule);
  const error = tf.squaredDifference(denoise(noisy, timesteps), target);
  const losses = tf.mean<tf.Tensor1D>(tf.reshape(error, [latents.shape[0]!, -1]), 1);
  if (weighting.kind === 'uniform') return losses;
  const weights = table(schedule, `${prediction} ${weighting.gamma}`, () =>
    lossWeights(schedule, prediction, weighting),
  );
  return tf.mul(losses, tf.gather(weights, timesteps));
}

/** The mean of `diffusionLosses`: the objective of every diffusion stage. */
export function diffusionLoss(inputs: DiffusionLossInputs): tf.Scalar {
  return tf.mean<tf.Scalar>(diffusionLosses(inputs));
}

/**
 * The weight of each timestep on the error in the network's own terms. Min-SNR-gamma (Hang et al. 2023, section 3.4):
 * min(snr, gamma) / snr for eps, min(snr, gamma) / (snr + 1) for v.
 */
export function lossWeights(schedule: NoiseSchedule, prediction: Prediction, weighting: Weighting): Float64Array {
  if (weighting.kind === 'uniform') return new Float64Array(schedule.config.steps).fill(1);
  const {gamma} = weighting;
  // Written without 0 / 0 where the last step holds no signal.
  if (prediction === 'eps') return snr(schedule).map(ratio => (ratio <= gamma ? 1 : gamma / ratio));
  return snr(schedule).map(ratio => Math.min(ratio, gamma) / (ratio + 1));
}

/**
 * Offset noise (Guttenberg 2023, "Diffusion with Offset Noise"): adds one more normal per sample and channel, so that the
 * model learns to change the mean. `offsets` are standard normals that broadcast against `noise`, such as [B,1,1,1,C].
 */
export function offsetNoise(noise: tf.Tensor, offsets: tf.Tensor, strength: number): tf.Tensor {
  return tf.add(noise, tf.mul(offsets, strength));
}

/** alpha_t and sigma_t as [B, 1, ...] of the given rank. */
function alphaSigma(timesteps: tf.Tensor1D, schedule: NoiseSchedule, rank: number): [tf.Tensor, tf.Tensor] {
  const shape = [timesteps.shape[0], ...new Array<number>(rank - 1).fill(1)];
  const pick = (name: 'alphas' | 'sigmas') =>
    tf.reshape(
      tf.gather(
        table(schedule, name, () => schedule[name]),
        timesteps,
      ),
      shape,
    );
  return [pick('alphas'), pick('sigmas')];
}

// A schedule's tables live on the engine until `disposeTables`: a step must not upload them again.
const tables = new WeakMap<NoiseSchedule, Map<string, tf.Tensor1D>>();

function table(schedule: NoiseSchedule, name: string, values: () => Float64Array): tf.Tensor1D {
  const key = `${tf.getBackend()} ${name}`;
  const known = tables.get(schedule) ?? new Map<string, tf.Tensor1D>();
  tables.set(schedule, known);
  const found = known.get(key);
  if (found && !found.isDisposed) return found;
  const made = tf.keep(tf.tensor1d(Float32Array.from(values()), 'float32'));
  known.set(key, made);
  return made;
}

/** Frees what the objective keeps on the engine for a schedule; it may be used again. */
export function disposeTables(schedule: NoiseSchedule): void {
  tf.dispose([...(tables.get(schedule)?.values() ?? [])]);
  tables.delete(schedule);
}
