// A loss or gradient that is NaN or infinite ends the run: the update was not applied, the last checkpoint is good.
import type {Group} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';
import {firstFailure} from '../ranks/agree.ts';
import type {MomentSlot, Slot} from './optimizer.ts';

export interface NonFiniteStep {
  readonly step: number;
  readonly loss: number;
  /** Of all micro-batches, in order. */
  readonly keys: readonly string[];
  /** What `recipe.prepare` made of each micro-batch. */
  readonly inputs: readonly tf.TensorContainer[];
  readonly slots: readonly MomentSlot[];
  readonly gradients: readonly tf.Tensor[];
}

/**
 * Looks in the order of computation: the step's inputs, the weights, then the gradients, in order of declaration. Of several ranks
 * it may be one alone that finds a cause: it speaks for all.
 * @throws UserError always, naming the step, the samples and the first tensor that is not finite.
 */
export async function refuseNonFinite(at: NonFiniteStep, group: Group): Promise<never> {
  const culprit = (await badInput(at)) ?? (await badWeight(at)) ?? (Number.isFinite(at.loss) ? undefined : 'the loss');
  const told = await firstFailure(group, culprit && sentenceOf(at, culprit));
  throw new UserError(told ?? sentenceOf(at, 'the sum of all gradients'));
}

function sentenceOf({step, loss, keys}: NonFiniteStep, culprit: string): string {
  return (
    `Step ${step + 1} is not finite (loss ${loss}): the first bad value is in ${culprit}, with samples ${keys.join(', ')}; ` +
    'it changed no weight that is saved, and the last checkpoint is good: lower optimizer.learningRate, set optimizer.clipNorm or look at these samples.'
  );
}

/**
 * Before a checkpoint: an update may overflow although its gradient was finite.
 * @throws UserError naming the first weight, moment or average that is not finite, so that nothing good is replaced by it.
 */
export async function refuseNonFiniteState(step: number, slots: readonly (MomentSlot | Slot)[]): Promise<void> {
  const parts = ['variable', 'm', 'v', 'ema'] as const;
  const state = slots.flatMap(slot =>
    parts.flatMap(part => (part in slot ? [{path: slot.spec.path, part, tensor: (slot as Slot)[part]}] : [])),
  );
  // Zero times a finite number is zero, and NaN otherwise: one number to read.
  const sum = tf.tidy(() => tf.addN(state.map(({tensor}) => tf.sum(tf.mul(tensor, 0)))));
  const [value] = await sum.data();
  sum.dispose();
  if (Number.isFinite(value)) return;
  for (const {path, part, tensor} of state) {
    if (await allFinite(tensor)) continue;
    const what = {variable: 'the weight', m: 'the first moment of', v: 'the second moment of', ema: 'the average of'}[
      part
    ];
    throw new UserError(
      `After step ${step} ${what} ${path} is not finite: it is not saved, and the last checkpoint is good: lower optimizer.learningRate or set optimizer.clipNorm.`,
    );
  }
}

async function badInput({inputs, keys}: NonFiniteStep): Promise<string | undefined> {
  const perMicroBatch = keys.length / inputs.length;
  for (const [microBatch, container] of inputs.entries()) {
    for (const {name, tensor} of named(container)) {
      if (tensor.dtype !== 'float32') continue;
      const bad = (await tensor.data()).findIndex(value => !Number.isFinite(value));
      if (bad < 0) continue;
      // Rows are samples, or the frames of samples.
      const place = Math.floor((bad / tensor.size) * perMicroBatch);
      return `the input ${name} of sample ${keys[microBatch * perMicroBatch + place] ?? 'unknown'}`;
    }
  }
  return undefined;
}

async function badWeight({slots, gradients}: NonFiniteStep): Promise<string | undefined> {
  for (const {spec, variable} of slots) if (!(await allFinite(variable))) return `the weight ${spec.path}`;
  for (const [i, {spec}] of slots.entries())
    if (!(await allFinite(gradients[i]!))) return `the gradient of ${spec.path}`;
  return undefined;
}

/** The tensors of a container under their names. */
function named(container: tf.TensorContainer, name = ''): {name: string; tensor: tf.Tensor}[] {
  if (container instanceof tf.Tensor) return [{name: name || 'tensor', tensor: container}];
  if (typeof container !== 'object' || container === null) return [];
  return Object.entries(container).flatMap(([key, value]) =>
    named(value as tf.TensorContainer, name ? `${name}.${key}` : key),
  );
}

async function allFinite(tensor: tf.Tensor): Promise<boolean> {
  return (await tensor.data()).every(Number.isFinite);
}
