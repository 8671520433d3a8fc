// Twenty steps of the temporal stage on a tiny video UNet, on whichever TensorFlow.js backend is current: frozen spatial
// layers, AdamW on the temporal ones, all numbers from the counter-based generator. The losses are what engines compare.
import {diffusionLoss, makeSchedule, noiseTensor, stableDiffusionSchedule} from '../../src/diffusion/index.ts';
import {UNet, type UNetConfig} from '../../src/models/index.ts';
import {type AdamWSlot, adamWStep} from '../../src/ops/index.ts';
import {integers} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

/** The tiny configs' shape: two levels, attention at the coarser, all three kinds of temporal layer. */
export const tinyVideoUNet: UNetConfig = {
  inChannels: 4,
  outChannels: 4,
  channels: [32, 64],
  layersPerBlock: 1,
  attention: [false, true],
  heads: {dim: 32},
  linearProjection: true,
  normGroups: 8,
  temporal: {conv: true, attention: true, kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0.5, per: 'layer'}},
};

const seed = 7;
const clips = [2, 8, 8, 8, 4] as const;
const optimizer = {learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clipNorm: 1};

export interface TemporalLosses {
  losses: number[];
  /** Wall time of each step, ms. */
  milliseconds: number[];
  /** Tensors alive after the second and after the last step. */
  tensors: [number, number];
}

/** Trains for `steps` on the current backend; every call starts from the same weights and sees the same numbers. */
export async function temporalLosses(steps: number): Promise<TemporalLosses> {
  const unet = new UNet(tinyVideoUNet).allocate(seed).trainWhere(({part}) => part === 'temporal');
  const schedule = makeSchedule(stableDiffusionSchedule);
  // One fixed batch that changes smoothly over time is what temporal layers can learn in twenty steps.
  const latents = tf.tidy(() => tf.cumsum(tf.mul(noiseTensor({seed, stream: 'init', step: 0}, clips), 0.5), 1));
  const variables = [...unet.trainableNamedWeights().values()];
  const slots = variables.map(variable => ({
    variable,
    m: tf.variable(tf.zerosLike(variable), false),
    v: tf.variable(tf.zerosLike(variable), false),
  }));
  const result: TemporalLosses = {losses: [], milliseconds: [], tensors: [0, 0]};
  for (let step = 0; step < steps; step++) {
    const start = performance.now();
    const noise = noiseTensor({seed, stream: 'noise', step}, clips);
    const timesteps = tf.tensor1d(integers({seed, stream: 'timesteps', step}, clips[0], 1000), 'int32');
    const {value, grads} = tf.variableGrads(
      () =>
        diffusionLoss({
          ...{latents, noise, timesteps, schedule, prediction: 'eps'},
          denoise: (noisy, at) => unet.forward({latents: noisy, timesteps: at}),
        }),
      variables,
    );
    const withGradients: AdamWSlot[] = slots.map(slot => ({...slot, gradient: grads[slot.variable.name]!}));
    const norm = adamWStep(withGradients, {...optimizer, step: step + 1});
    result.losses.push((await value.data())[0]!);
    await norm.data();
    tf.dispose([noise, timesteps, value, grads, norm]);
    result.milliseconds.push(performance.now() - start);
    if (step <= 1) result.tensors[0] = tf.memory().numTensors;
    result.tensors[1] = tf.memory().numTensors;
  }
  tf.dispose([latents, ...slots.flatMap(({m, v}) => [m, v])]);
  unet.dispose();
  return result;
}

/** The largest difference between two lists of losses. */
export function largestDifference(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) throw new Error(`Lists of ${a.length} and ${b.length} losses cannot be compared.`);
  return Math.max(...a.map((loss, i) => Math.abs(loss - b[i]!)));
}
