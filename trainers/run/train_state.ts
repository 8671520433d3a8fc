// Between the variables of a run and the TrainState that checkpoints hold.
import type {Ancestor, LoadedState, NamedTensors, StateTensor, TrainState} from '../../checkpoints/index.ts';
import type {StageConfig} from '../../src/config/schema.ts';
import type {Engine} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';
import type {LoopPlace} from '../loop.ts';
import type {MomentSlot, Slot} from '../optimizer/optimizer.ts';
import type {TrainedWeight} from '../recipe.ts';

/** All variables that training changes: the model's, and its adversary's where there is one. */
export interface RunSlots {
  readonly slots: readonly Slot[];
  readonly adversarySlots: readonly MomentSlot[];
}

/** The state as it is now; its tensors are read when the snapshot is taken. */
export function stateOf(
  config: StageConfig,
  engine: Engine,
  {slots, adversarySlots}: RunSlots,
  place: LoopPlace,
  lineage: readonly Ancestor[] = [],
): TrainState {
  const adversarial = adversarySlots.length > 0;
  return {
    stage: config.stage,
    step: place.step,
    weights: tensorsOf(slots, 'variable'),
    ema: tensorsOf(slots, 'ema'),
    optimizers: {adamw: momentsOf(slots), ...(adversarial ? {adversary: momentsOf(adversarySlots)} : {})},
    ...(adversarial ? {companions: {adversary: tensorsOf(adversarySlots, 'variable')}} : {}),
    data: place.data ?? null,
    metrics: place.metrics,
    config: asJson(config),
    lineage,
    engine: engine.describe(),
  };
}

/** Puts a loaded state into the variables. @throws UserError where it does not hold exactly the weights that train. */
export function restore(state: LoadedState, {slots, adversarySlots}: RunSlots, checkpoint: string): void {
  const {optimizers, companions, ema} = state;
  assignAll(slots, state.weights, optimizers.adamw, checkpoint);
  for (const {spec, ema: average} of slots) assign(average, ema?.get(spec.path), spec.path, checkpoint);
  // An adversary that was added to a run later starts from its own beginning.
  if (companions?.adversary) assignAll(adversarySlots, companions.adversary, optimizers.adversary, checkpoint);
}

function assignAll(
  slots: readonly MomentSlot[],
  weights: NamedTensors<Float32Array>,
  optimizer: NamedTensors<Float32Array> | undefined,
  checkpoint: string,
): void {
  const moments: NamedTensors<Float32Array> = optimizer ?? new Map();
  if (weights.size !== slots.length || moments.size !== 2 * slots.length) {
    throw new UserError(
      `${checkpoint} holds ${weights.size} weights and ${moments.size} optimiser slots, expected ${slots.length} and ${2 * slots.length}: it is of another model.`,
    );
  }
  for (const {spec, variable, m, v} of slots) {
    assign(variable, weights.get(spec.path), spec.path, checkpoint);
    assign(m, moments.get(`${spec.path}.m`), `${spec.path}.m`, checkpoint);
    assign(v, moments.get(`${spec.path}.v`), `${spec.path}.v`, checkpoint);
  }
}

/** A configuration without what JSON has no word for. */
export function asJson(config: StageConfig): LoadedState['config'] {
  return JSON.parse(JSON.stringify(config)) as LoadedState['config'];
}

function tensorsOf<Name extends string>(
  slots: readonly (TrainedWeight & {readonly [N in Name]: tf.Variable})[],
  which: Name,
): NamedTensors {
  return new Map(
    slots.map(slot => {
      const {shape, layout, path} = slot.spec;
      const data = async (target: Float32Array) => target.set(await slot[which].data<'float32'>());
      return [path, {shape, layout, data}];
    }),
  );
}

function momentsOf(slots: readonly MomentSlot[]): NamedTensors {
  return new Map([...suffixed(tensorsOf(slots, 'm'), 'm'), ...suffixed(tensorsOf(slots, 'v'), 'v')]);
}

function suffixed(tensors: NamedTensors, suffix: string): [string, StateTensor][] {
  return [...tensors].map(([name, tensor]) => [`${name}.${suffix}`, tensor]);
}

function assign(
  variable: tf.Variable,
  tensor: StateTensor<Float32Array> | undefined,
  name: string,
  checkpoint: string,
): void {
  if (!tensor || tensor.shape.join() !== variable.shape.join()) {
    throw new UserError(
      `${checkpoint}: ${name} is ${tensor ? `[${tensor.shape}]` : 'missing'}, expected [${variable.shape}]: it is of another model.`,
    );
  }
  const values = tf.tensor(tensor.data, variable.shape, 'float32');
  variable.assign(values);
  values.dispose();
}
