// AdamW's slots for the trained weights, and the EMA beside them. A frozen weight has no slot.
import {type AdamWOptions, type AdamWSlot, adamWScalars, adamWStep} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import type {TrainedWeight} from '../recipe.ts';
import {emaDecayAt, learningRateAt} from './learning_rate.ts';
import {updateAtRates} from './own_rates.ts';

export interface OptimizerConfig {
  learningRate: number;
  betas: [number, number];
  epsilon: number;
  weightDecay: number;
  clipNorm?: number | undefined;
  warmupSteps: number;
  schedule: 'constant' | 'cosine';
  /** Of weights that have an average. */
  emaDecay?: number | undefined;
}

/** One trained weight with its first and second moment. */
export interface MomentSlot extends TrainedWeight {
  readonly m: tf.Variable;
  readonly v: tf.Variable;
}

/** The same with the weight's average. */
export interface Slot extends MomentSlot {
  readonly ema: tf.Variable;
}

/** Slots of zeros; the EMA starts at the weights. */
export function makeSlots(trained: readonly TrainedWeight[]): Slot[] {
  // Times one: a copy. tf.clone shares its values, and all of these are written in place.
  return makeMomentSlots(trained).map(slot => ({
    ...slot,
    ema: tf.tidy(() => tf.variable(tf.mul(slot.variable, 1), false)),
  }));
}

/** Slots of zeros for a network that has no average. */
export function makeMomentSlots(trained: readonly TrainedWeight[]): MomentSlot[] {
  const zeros = (shape: number[]) => tf.tidy(() => tf.variable(tf.zeros(shape), false));
  return trained.map(weight => {
    const {shape} = weight.variable;
    return {...weight, m: zeros(shape), v: zeros(shape)};
  });
}

/** One update in place, with the step's `updateOptions` or a tensor of their `adamWScalars`. Returns the global gradient norm before clipping; if it is not finite, nothing was changed. */
export function update(
  slots: readonly (MomentSlot | Slot)[],
  gradients: readonly tf.Tensor[],
  options: AdamWOptions | tf.Tensor1D,
): tf.Scalar {
  const adamW: AdamWSlot[] = slots.map(({variable, m, v, ...rest}, i) => ({
    variable,
    gradient: gradients[i]!,
    m,
    v,
    ...('ema' in rest ? {ema: rest.ema} : {}),
  }));
  if (slots.every(({rate = 1}) => rate === 1)) return adamWStep(adamW, options);
  const rated = adamW.map((slot, i) => ({slot, rate: slots[i]!.rate ?? 1}));
  return tf.tidy(() =>
    updateAtRates(rated, options instanceof tf.Tensor ? options : tf.tensor1d(adamWScalars(options), 'float32')),
  );
}

/** The numbers of the update that turns step `step` into `step + 1`; a captured step takes their `adamWScalars` as a tensor. */
export function updateOptions(config: OptimizerConfig, at: {step: number; steps: number}): AdamWOptions {
  return {
    learningRate: learningRateAt(config, at.step, at.steps),
    beta1: config.betas[0],
    beta2: config.betas[1],
    epsilon: config.epsilon,
    weightDecay: config.weightDecay,
    step: at.step + 1,
    ...(config.emaDecay === undefined ? {} : {emaDecay: emaDecayAt(config.emaDecay, at.step)}),
    ...(config.clipNorm === undefined ? {} : {clipNorm: config.clipNorm}),
  };
}

/** Runs `action` with the averaged weights in place of the trained ones, which come back bit for bit. */
export async function withEma<T>(slots: readonly Slot[], action: () => Promise<T>): Promise<T> {
  const trained = slots.map(({variable}) => variable.clone());
  for (const {variable, ema} of slots) variable.assign(ema);
  try {
    return await action();
  } finally {
    for (const [i, {variable}] of slots.entries()) variable.assign(trained[i]!);
    tf.dispose(trained);
  }
}

export function disposeSlots(slots: readonly (MomentSlot | Slot)[]): void {
  for (const {m, v, ...rest} of slots) tf.dispose([m, v, ...('ema' in rest ? [rest.ema] : [])]);
}
