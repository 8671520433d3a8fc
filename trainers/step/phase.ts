// One network's share of a training step, as captured functions: gradients of its loss, accumulation over the micro-batches,
// clipping, AdamW and averages. Whatever changes from step to step is a tensor among the inputs; what outlives a call (weights,
// moments, averages, sums of gradients) is written in place.
import type {Engine, Group} from '../../src/engine/index.ts';
import {type AdamWOptions, adamWScalars, overwrite} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {type MomentSlot, update} from '../optimizer/optimizer.ts';
import {perShape} from './per_shape.ts';

export interface PhaseTools {
  readonly valueAndGrads: Engine['valueAndGrads'];
  readonly capture: Engine['capture'];
  /** Micro-batches of a step, on this rank. */
  readonly accumulate: number;
  /** Gradients are averaged over its ranks, between captured functions. */
  readonly group: Group;
  /**
   * A number that is 0 while every loss and gradient of the run was finite, and NaN from the first on that was not: from then
   * on no update changes anything, in whatever phase, so that it may be found out late.
   */
  readonly spoiled: tf.Variable;
}

export interface Phase<Inputs> {
  /** Does the update and reads nothing. Gives the losses of the micro-batches, then the gradients' norm before clipping. */
  run(microBatches: readonly Inputs[], options: AdamWOptions): tf.Tensor1D;
  dispose(): void;
}

export function openPhase<Inputs extends tf.TensorContainer>(
  tools: PhaseTools,
  slots: readonly MomentSlot[],
  loss: (inputs: Inputs) => tf.Scalar,
): Phase<Inputs> {
  const isWhole = tools.accumulate === 1 && tools.group.worldSize === 1;
  return isWhole ? wholePhase(tools, slots, loss) : accumulatingPhase(tools, slots, loss);
}

/** Forward, backward and update in one function. */
function wholePhase<Inputs extends tf.TensorContainer>(
  {valueAndGrads, capture, spoiled}: PhaseTools,
  slots: readonly MomentSlot[],
  loss: (inputs: Inputs) => tf.Scalar,
): Phase<Inputs> {
  const variables = slots.map(({variable}) => variable);
  const whole = perShape(capture, ({inputs, scalars}: {inputs: Inputs; scalars: tf.Tensor1D}) => {
    const {value, grads} = valueAndGrads(() => loss(inputs), variables);
    note(spoiled, value);
    return tf.stack([value, guardedUpdate(spoiled, slots, grads, scalars)]);
  });
  return {
    run: ([inputs], options) => tf.tidy(() => whole({inputs: inputs!, scalars: scalarsOf(options)}) as tf.Tensor1D),
    dispose: () => whole.dispose(),
  };
}

/** A function for the first micro-batch, one for the others, and one for the update; between them are the mean gradients, and the other ranks'. */
function accumulatingPhase<Inputs extends tf.TensorContainer>(
  {valueAndGrads, capture, accumulate, group, spoiled}: PhaseTools,
  slots: readonly MomentSlot[],
  loss: (inputs: Inputs) => tf.Scalar,
): Phase<Inputs> {
  const variables = slots.map(({variable}) => variable);
  const means = variables.map(({shape}) => tf.tidy(() => tf.variable(tf.zeros(shape), false)));
  const added = (isFirst: boolean) =>
    perShape(capture, (inputs: Inputs) => {
      const {value, grads} = valueAndGrads(() => loss(inputs), variables);
      note(spoiled, value);
      for (const [i, gradient] of grads.entries()) {
        tf.tidy(() => {
          const share = accumulate === 1 ? gradient : tf.mul(gradient, 1 / accumulate);
          overwrite(means[i]!, isFirst ? share : tf.add(means[i]!, share));
        });
        gradient.dispose();
      }
      return value;
    });
  const [first, later] = [added(true), added(false)];
  const updated = perShape(capture, (scalars: tf.Tensor1D) => guardedUpdate(spoiled, slots, means, scalars));
  return {
    run: (microBatches, options) =>
      tf.tidy(() => {
        const losses = microBatches.map((inputs, i) => (i === 0 ? first : later)(inputs));
        // What is not finite on one rank spoils the run on all: their weights stay the same.
        group.allReduceMean([...means, spoiled]);
        return tf.stack([...losses, updated(scalarsOf(options))]) as tf.Tensor1D;
      }),
    dispose() {
      for (const captured of [first, later, updated]) captured.dispose();
      tf.dispose(means);
    },
  };
}

/** The update, unless the run is spoiled. Returns the norm. */
function guardedUpdate(
  spoiled: tf.Variable,
  slots: readonly MomentSlot[],
  gradients: readonly tf.Tensor[],
  scalars: tf.Tensor1D,
): tf.Scalar {
  // Scalars that are NaN make the norm NaN, and AdamW changes nothing.
  const norm = update(slots, gradients, tf.add(scalars, spoiled));
  note(spoiled, norm);
  return norm;
}

/** Zero times a finite number is zero, and NaN otherwise. */
function note(spoiled: tf.Variable, figure: tf.Scalar): void {
  tf.tidy(() => overwrite(spoiled, tf.add(spoiled, tf.mul(figure, 0))));
}

function scalarsOf(options: AdamWOptions): tf.Tensor1D {
  return tf.tensor1d(adamWScalars(options), 'float32');
}
