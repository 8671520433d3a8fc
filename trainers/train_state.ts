// Between the variables of a run and the TrainState that checkpoints hold.
import type {LoadedState, NamedTensors, StateTensor, TrainState} from '../checkpoints/index.ts';
import type {StageConfig} from '../src/config/schema.ts';
import type {Engine} from '../src/engine/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import * as tf from '../src/tf.ts';
import type {LoopPlace} from './loop.ts';
import type {Slot} from './optimizer.ts';

type SlotTensor = 'variable' | 'm' | 'v' | 'ema';

/** The state as it is now; its tensors are read when the snapshot is taken. */
export function stateOf(config: StageConfig, engine: Engine, slots: readonly Slot[], place: LoopPlace): TrainState {
  return {
    stage: config.stage,
    step: place.step,
    weights: tensorsOf(slots, 'variable'),
    ema: tensorsOf(slots, 'ema'),
    optimizers: {adamw: new Map([...suffixed(tensorsOf(slots, 'm'), 'm'), ...suffixed(tensorsOf(slots, 'v'), 'v')])},
    data: place.data ?? null,
    metrics: place.metrics,
    config: asJson(config),
    engine: engine.describe(),
  };
}

/** Puts a loaded state into the variables. @throws UserError where it does not hold exactly the weights that train. */
export function restore(state: LoadedState, slots: readonly Slot[], checkpoint: string): void {
  const adamw = state.optimizers.adamw ?? new Map();
  if (state.weights.size !== slots.length || adamw.size !== 2 * slots.length) {
    throw new UserError(
      `${checkpoint} holds ${state.weights.size} weights and ${adamw.size} optimiser slots, expected ${slots.length} and ${2 * slots.length}: it is of another model.`,
    );
  }
  for (const {spec, variable, m, v, ema} of slots) {
    assign(variable, state.weights.get(spec.path), spec.path, checkpoint);
    assign(ema, state.ema?.get(spec.path), spec.path, checkpoint);
    assign(m, adamw.get(`${spec.path}.m`), `${spec.path}.m`, checkpoint);
    assign(v, adamw.get(`${spec.path}.v`), `${spec.path}.v`, checkpoint);
  }
}

/** A configuration without what JSON has no word for. */
export function asJson(config: StageConfig): LoadedState['config'] {
  return JSON.parse(JSON.stringify(config)) as LoadedState['config'];
}

function tensorsOf(slots: readonly Slot[], which: SlotTensor): NamedTensors {
  return new Map(
    slots.map(slot => {
      const {shape, layout, path} = slot.spec;
      const data = async (target: Float32Array) => target.set(await slot[which].data<'float32'>());
      return [path, {shape, layout, data}];
    }),
  );
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
