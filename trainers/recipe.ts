// What a stage is to the loop: variables to train, a loss, held-out figures. Each stage's file makes one; there is no
// base class and there are no hooks.
import type {VideoBatch} from '../datasets/index.ts';
import type {Block, WeightSpec} from '../src/layers/block.ts';
import type * as tf from '../src/tf.ts';

/** A weight that trains, under its name in files. */
export interface TrainedWeight {
  readonly spec: WeightSpec;
  readonly variable: tf.Variable;
}

/** Where in the run a batch is used: all randomness of the step follows from it. */
export interface StepPlace {
  readonly step: number;
  /** 0 .. accumulate-1 */
  readonly microBatch: number;
}

/**
 * One training stage. `prepare` turns a batch into tensors outside the gradient (frozen encoders run here); `loss` is
 * what is differentiated. Both are functions of their arguments and the current weights alone.
 */
export interface Recipe<Inputs extends tf.TensorContainer = tf.TensorContainer> {
  readonly trained: readonly TrainedWeight[];
  prepare(batch: VideoBatch, place: StepPlace): Inputs;
  loss(inputs: Inputs): tf.Scalar;
  /** Held-out figures by name, with the weights as they are now. */
  heldOut(): Promise<Record<string, number>>;
  /** Writes sample videos or reconstructions into `folder`; returns the files. */
  preview?(folder: string, step: number): Promise<string[]>;
  dispose(): void;
}

/** The weights of a model that are not frozen, in order of declaration. */
export function trainedWeights(model: Block): TrainedWeight[] {
  const trainable = model.trainableNamedWeights();
  return model.weightSpecs().flatMap(spec => {
    const variable = trainable.get(spec.path);
    return variable ? [{spec, variable}] : [];
  });
}
