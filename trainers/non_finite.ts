// A loss or gradient that is NaN or infinite ends the run: the update was not applied, the last checkpoint is good.
import {UserError} from '../src/platform/user_error.ts';
import type * as tf from '../src/tf.ts';
import type {MomentSlot} from './optimizer.ts';

/** @throws UserError always, naming the step, the samples and the first tensor that is not finite. */
export async function refuseNonFinite(
  step: number,
  loss: number,
  keys: readonly string[],
  slots: readonly MomentSlot[],
  gradients: readonly tf.Tensor[],
): Promise<never> {
  let culprit = Number.isFinite(loss) ? 'the sum of all gradients' : `the loss (${loss})`;
  for (const [i, {spec, variable}] of slots.entries()) {
    const weightIsBad = !(await allFinite(variable));
    if (weightIsBad || !(await allFinite(gradients[i]!))) {
      culprit = `the ${weightIsBad ? 'weight' : 'gradient of'} ${spec.path}`;
      break;
    }
  }
  throw new UserError(
    `Step ${step + 1} is not finite: the first bad value is in ${culprit}, with samples ${keys.join(', ')}; ` +
      'it changed no weight that is saved, and the last checkpoint is good: lower optimizer.learningRate, set optimizer.clipNorm or look at these samples.',
  );
}

async function allFinite(tensor: tf.Tensor): Promise<boolean> {
  return (await tensor.data()).every(Number.isFinite);
}
