// A stage's recipe as one training step: the model's update and, where it takes part, the adversary's, each of captured
// functions (phase.ts). The step reads nothing: its figures stay on the device until somebody wants them.
import type {CommonConfig} from '../../src/config/schema.ts';
import {type Engine, runEachTime} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {type MomentSlot, type Slot, updateOptions} from '../optimizer/optimizer.ts';
import type {Adversary, Recipe} from '../recipe.ts';
import {perShape} from './per_shape.ts';
import {openPhase, type PhaseTools} from './phase.ts';

export interface StepTools {
  config: Pick<CommonConfig, 'train' | 'optimizer'>;
  engine: Pick<Engine, 'valueAndGrads' | 'capture' | 'group'>;
  recipe: Recipe;
  slots: readonly Slot[];
  /** Of the recipe's adversary, where it has one. */
  adversarySlots?: readonly MomentSlot[];
}

export interface StepResult {
  /** Losses and gradient norm of the model, then of the adversary where it took part, then its weight. */
  figures: tf.Tensor1D;
  /** Of the adversary's term in the model's loss. */
  weight: tf.Scalar | undefined;
}

export interface TrainingStep {
  /** The update that turns step `step` into `step + 1`; nothing but the weights' slots changes. The caller disposes of the result. */
  run(step: number, microBatches: readonly tf.TensorContainer[]): StepResult;
  /** Frees what was captured. */
  dispose(): void;
}

/** What a step was told by its figures, all its own. */
export interface StepFigures {
  loss: number;
  gradientNorm: number;
  adversary?: {adversaryLoss: number; adversaryGradientNorm: number; adversaryWeight: number};
}

export function openTrainingStep({config, engine, recipe, slots, adversarySlots = []}: StepTools): TrainingStep {
  const {accumulate, steps, capture} = config.train;
  const tools: PhaseTools = {
    valueAndGrads: engine.valueAndGrads,
    capture: capture === 'off' ? runEachTime : engine.capture,
    accumulate,
    group: engine.group,
    spoiled: tf.tidy(() => tf.variable(tf.scalar(0), false)),
  };
  const model = openPhase(tools, slots, ({batch, weight}: {batch: tf.TensorContainer; weight?: tf.Scalar}) =>
    recipe.loss(batch, weight),
  );
  const adversarial = recipe.adversary && openAdversary(tools, recipe.adversary, adversarySlots, steps);
  return {
    run: (step, microBatches) =>
      tf.tidy(() => {
        const against = adversarial?.takesPart(step) ? adversarial : undefined;
        const weight = against?.weigh(microBatches);
        const weighted = microBatches.map(batch => ({batch, ...(weight ? {weight} : {})}));
        const figures = [
          model.run(weighted, updateOptions(config.optimizer, {step, steps})),
          ...(against && weight ? [against.run(step, microBatches), tf.reshape(weight, [1])] : []),
        ];
        return {figures: tf.concat(figures) as tf.Tensor1D, weight};
      }),
    dispose() {
      model.dispose();
      adversarial?.dispose();
      tools.spoiled.dispose();
    },
  };
}

/** The adversary's part in a step: its weight before the model's update, its own update after it. */
function openAdversary(tools: PhaseTools, adversary: Adversary, slots: readonly MomentSlot[], steps: number) {
  const {startStep, optimizer, weight} = adversary;
  const phase = openPhase(tools, slots, (batch: tf.TensorContainer) => adversary.loss(batch));
  const measure =
    typeof weight === 'number'
      ? undefined
      : perShape(tools.capture, (batch: tf.TensorContainer) => weight.measure(batch, tools));
  return {
    takesPart: (step: number) => step >= startStep,
    weigh: (microBatches: readonly tf.TensorContainer[]): tf.Scalar => {
      if (typeof weight === 'number') return tf.scalar(weight);
      const mean = tf.div(tf.addN(microBatches.map(batch => measure!(batch))), microBatches.length);
      tools.group.allReduceMean([mean]);
      return weight.from(mean);
    },
    run: (step: number, microBatches: readonly tf.TensorContainer[]) =>
      phase.run(microBatches, updateOptions(optimizer, {step: step - startStep, steps: steps - startStep})),
    dispose() {
      phase.dispose();
      measure?.dispose();
    },
  };
}

/** The figures as read, of a step of so many micro-batches. */
export function figuresOf(values: ArrayLike<number>, accumulate: number): StepFigures {
  const phase = (from: number) => ({
    loss: Array.from(values)
      .slice(from, from + accumulate)
      .reduce((mean, loss) => mean + loss / accumulate, 0),
    gradientNorm: values[from + accumulate]!,
  });
  if (values.length <= accumulate + 1) return phase(0);
  const {loss, gradientNorm} = phase(accumulate + 1);
  return {
    ...phase(0),
    adversary: {
      adversaryLoss: loss,
      adversaryGradientNorm: gradientNorm,
      adversaryWeight: values[2 * (accumulate + 1)]!,
    },
  };
}
