// What a stage is to the loop: variables to train, a loss, held-out figures. Each stage's file makes one; there is no
// base class and there are no hooks.
import type {VideoBatch} from '../datasets/index.ts';
import type {Engine} from '../src/engine/index.ts';
import type {Block, WeightSpec} from '../src/layers/block.ts';
import type * as tf from '../src/tf.ts';
import type {OptimizerConfig} from './optimizer/optimizer.ts';

/** A weight that trains, under its name in files. */
export interface TrainedWeight {
  readonly spec: WeightSpec;
  readonly variable: tf.Variable;
  /** Its learning rate as a multiple of the optimiser's; 1 where absent. */
  readonly rate?: number;
}

/** Where in the run a batch is used: all randomness of the step follows from it. */
export interface StepPlace {
  readonly step: number;
  /** Among those of the step on all ranks: n-th of rank r of w is n*w + r. 0 .. accumulate * world size - 1. */
  readonly microBatch: number;
}

/**
 * A network that trains against the model, such as a discriminator. From `startStep` on, each step updates the model with
 * the adversary's term in its loss, then the adversary by a loss of its own on the same batches.
 */
export interface Adversary<Inputs extends tf.TensorContainer = tf.TensorContainer> {
  readonly trained: readonly TrainedWeight[];
  readonly optimizer: OptimizerConfig;
  /** Updates of the model before it takes part. */
  readonly startStep: number;
  /** Of its term in the model's loss: a number, or anew at every step. */
  readonly weight: number | AdaptiveWeight<Inputs>;
  loss(inputs: Inputs): tf.Scalar;
}

/** A weight that follows from the step's micro-batches and the weights as they are. */
export interface AdaptiveWeight<Inputs extends tf.TensorContainer = tf.TensorContainer> {
  /** Of one micro-batch, what the weight is computed from; of one shape for all. */
  measure(inputs: Inputs, engine: Pick<Engine, 'valueAndGrads'>): tf.Tensor;
  /** @param mean of what was measured, over the micro-batches of all ranks */
  from(mean: tf.Tensor): tf.Scalar;
}

/**
 * One training stage. `prepare` turns a batch into tensors outside the gradient (frozen encoders run here); `loss` is
 * what is differentiated. Both are functions of their arguments and the current weights alone. `loss` is captured, and so is
 * what an adversary computes: it reads nothing and uploads nothing but constants that it keeps from its first call on.
 */
export interface Recipe<Inputs extends tf.TensorContainer = tf.TensorContainer> {
  readonly trained: readonly TrainedWeight[];
  prepare(batch: VideoBatch, place: StepPlace): Inputs;
  /** @param adversaryWeight weight of the adversary's term; undefined before it takes part, and for stages without one */
  loss(inputs: Inputs, adversaryWeight?: tf.Scalar): tf.Scalar;
  readonly adversary?: Adversary<Inputs> | undefined;
  /** Held-out figures by name, with the weights as they are now. */
  heldOut(): Promise<Record<string, number>>;
  /** Writes sample videos or reconstructions into `folder`; returns the files. */
  preview?(folder: string, step: number): Promise<string[]>;
  dispose(): void;
}

/** The weights of a model that are not frozen, in order of declaration; `prefix` goes before their names in files. */
export function trainedWeights(model: Block, prefix = ''): TrainedWeight[] {
  const trainable = model.trainableNamedWeights();
  return model.weightSpecs().flatMap(spec => {
    const variable = trainable.get(spec.path);
    return variable ? [{spec: {...spec, path: prefix + spec.path}, variable}] : [];
  });
}
