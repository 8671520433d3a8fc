// A step that was done and whose figures are not read yet. They are read while the next step is computed; until then its inputs
// are kept, so that a value that is not finite can still be traced: nothing was changed by that step or any after it.
import type {Group} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {meanGradients} from '../optimizer/accumulate.ts';
import {refuseNonFinite} from '../optimizer/non_finite.ts';
import type {MomentSlot} from '../optimizer/optimizer.ts';
import {figuresOf, type StepFigures, type StepResult, type StepTools, type TrainingStep} from './training_step.ts';

/** What a step was done with. */
export interface StepInputs {
  /** Updates done before it. */
  readonly step: number;
  /** Of all micro-batches, in order. */
  readonly keys: readonly string[];
  /** What `recipe.prepare` made of each micro-batch. */
  readonly microBatches: readonly tf.TensorContainer[];
  /** Whether this process was asked to stop. */
  readonly stopAsked: boolean;
}

/** Means over the ranks, and so the same on each. */
export interface SharedFigures extends StepFigures {
  /** Whether any rank was asked to stop. */
  stopAsked: boolean;
}

export interface InFlight {
  /**
   * Waits for the step's figures and frees its inputs.
   * @throws UserError where one is not finite, naming step, samples and the first tensor that is not.
   */
  settle(): Promise<SharedFigures>;
  dispose(): void;
}

/** Does the step and begins to read its figures; takes over its inputs. */
export function launch(tools: StepTools, trainingStep: TrainingStep, inputs: StepInputs): InFlight {
  const result = trainingStep.run(inputs.step, inputs.microBatches);
  const shared = overRanks(tools.engine.group, result.figures, inputs.stopAsked);
  const read = shared.data();
  // An error of the read is met in settle, which may come later.
  read.catch(() => undefined);
  const dispose = () =>
    tf.dispose([result.figures, shared, ...(result.weight ? [result.weight] : []), ...inputs.microBatches]);
  return {
    dispose,
    async settle() {
      try {
        const values = [...(await read)];
        const stopAsked = values.pop() !== 0;
        const figures = figuresOf(values, tools.config.train.accumulate);
        if (areFinite(figures)) return {...figures, stopAsked};
        // Makes room, on a GPU, for the activations of a step done one operation at a time.
        trainingStep.dispose();
        return await findNonFinite(tools, inputs, result, figures);
      } finally {
        dispose();
      }
    },
  };
}

/** The means of the figures over the ranks, then the share of ranks that were asked to stop. */
function overRanks(group: Group, figures: tf.Tensor1D, stopAsked: boolean): tf.Tensor1D {
  const all = tf.tidy(() => tf.concat([figures, tf.tensor1d([stopAsked ? 1 : 0])]));
  group.allReduceMean([all]);
  return all;
}

function areFinite({loss, gradientNorm, adversary}: StepFigures): boolean {
  const {adversaryLoss = 0, adversaryGradientNorm = 0} = adversary ?? {};
  return [loss, gradientNorm, adversaryLoss, adversaryGradientNorm].every(Number.isFinite);
}

/** Does the part of the step that went wrong again, with the weights as they were, and says what it met. @throws UserError always */
async function findNonFinite(
  {engine, recipe, slots, adversarySlots = []}: StepTools,
  inputs: StepInputs,
  {weight}: StepResult,
  figures: StepFigures,
): Promise<never> {
  const {adversary} = recipe;
  const inModel = !(Number.isFinite(figures.loss) && Number.isFinite(figures.gradientNorm));
  if (inModel || !adversary) return again(engine, inputs, slots, batch => recipe.loss(batch, weight));
  return again(engine, inputs, adversarySlots, batch => adversary.loss(batch));
}

async function again(
  engine: StepTools['engine'],
  {step, keys, microBatches}: StepInputs,
  slots: readonly MomentSlot[],
  lossOf: (batch: tf.TensorContainer) => tf.Scalar,
): Promise<never> {
  const variables = slots.map(({variable}) => variable);
  const {loss, gradients} = await meanGradients(engine, variables, microBatches, lossOf);
  try {
    return await refuseNonFinite({step, loss, keys, inputs: microBatches, slots, gradients}, engine.group);
  } finally {
    tf.dispose(gradients);
  }
}
