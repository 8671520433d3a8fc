// All that changes while a stage trains, in main memory: what a checkpoint holds, for any stage and any engine.
import type {WeightLayout} from '../src/weights/layouts.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | {readonly [key: string]: JsonValue};

/** Puts a tensor's values into memory that is there already, so that a snapshot allocates nothing. */
export type FillTensor = (target: Float32Array) => void | Promise<void>;

/** A float32 tensor in TensorFlow.js's axis order; files hold it in torch's, by its layout. */
export interface StateTensor<Data = Float32Array | FillTensor> {
  shape: readonly number[];
  layout: WeightLayout;
  data: Data;
}

/** Tensors under their names in files (weight paths, slot paths). */
export type NamedTensors<Data = Float32Array | FillTensor> = ReadonlyMap<string, StateTensor<Data>>;

/** A checkpoint, or an imported model, that a run grew out of. */
export type Ancestor = {
  /** As it was named when the run began; nothing is read from there afterwards. */
  readonly path: string;
  readonly stage: string;
  readonly step: number;
};

export interface TrainState<Data = Float32Array | FillTensor> {
  /** The stage's name: a checkpoint of one stage does not resume another. */
  stage: string;
  /** Updates done. */
  step: number;
  /** -> `model.safetensors`. */
  weights: NamedTensors<Data>;
  /** Averaged weights under the same names -> `ema.safetensors`. */
  ema?: NamedTensors<Data>;
  /** Other networks that train beside the model, such as a discriminator -> `NAME.safetensors`. */
  companions?: Readonly<Record<string, NamedTensors<Data>>>;
  /** Slots of each optimiser -> `optimizer.safetensors`, as `OPTIMIZER/SLOT`. */
  optimizers: Readonly<Record<string, NamedTensors<Data>>>;
  /** What resumes the data after the last batch used. */
  data: JsonValue;
  /** Latest (and best) figures by name. */
  metrics: Readonly<Record<string, number>>;
  /** The resolved configuration. */
  config: JsonValue;
  /** What the run's first weights came from: its parent, the parent's parent, ..; absent in what older versions wrote. */
  lineage?: readonly Ancestor[];
  /** Engine, build, processor, threads: what the bytes of a resumed run depend on. */
  engine: Readonly<Record<string, string | number>>;
}

/** A state as it comes from a checkpoint: every tensor's values are there. */
export type LoadedState = TrainState<Float32Array>;

/** The parts of a state that are files of their own. */
export type StatePart = 'weights' | 'ema' | 'optimizers' | 'companions';

const PLAIN_NAME = /^[a-z][a-z0-9_]*$/;
const RESERVED = ['model', 'ema', 'optimizer', 'state'];

/** The tensors of each file, by the file's stem. @throws RangeError for a name that cannot be a file's. */
export function filesOf<Data>(state: TrainState<Data>): [stem: string, tensors: NamedTensors<Data>][] {
  const optimizer = new Map<string, StateTensor<Data>>();
  for (const [name, slots] of Object.entries(state.optimizers)) {
    plain('optimiser', name);
    for (const [slot, tensor] of slots) optimizer.set(`${name}/${slot}`, tensor);
  }
  const companions = Object.entries(state.companions ?? {});
  for (const [name] of companions) {
    plain('companion', name);
    if (RESERVED.includes(name)) throw new RangeError(`A companion cannot be named "${name}": that file is taken.`);
  }
  return [
    ['model', state.weights],
    ...(state.ema ? [['ema', state.ema] satisfies [string, unknown]] : []),
    ...companions,
    ...(Object.keys(state.optimizers).length > 0 ? [['optimizer', optimizer] satisfies [string, unknown]] : []),
  ];
}

function plain(what: string, name: string): void {
  if (!PLAIN_NAME.test(name))
    throw new RangeError(`The ${what} name "${name}" must be lower-case letters, digits and "_".`);
}

/** The same state with other data for each tensor. */
export async function mapTensors<From, To>(
  state: TrainState<From>,
  to: (tensor: StateTensor<From>) => To | Promise<To>,
): Promise<TrainState<To>> {
  const all = async (tensors: NamedTensors<From>): Promise<NamedTensors<To>> => {
    const mapped = new Map<string, StateTensor<To>>();
    for (const [name, tensor] of tensors) mapped.set(name, {...tensor, data: await to(tensor)});
    return mapped;
  };
  const groups = async (named: Readonly<Record<string, NamedTensors<From>>>) => {
    const mapped: Record<string, NamedTensors<To>> = {};
    for (const [name, tensors] of Object.entries(named)) mapped[name] = await all(tensors);
    return mapped;
  };
  const {weights, ema, companions, optimizers, ...rest} = state;
  return {
    ...rest,
    weights: await all(weights),
    ...(ema ? {ema: await all(ema)} : {}),
    ...(companions ? {companions: await groups(companions)} : {}),
    optimizers: await groups(optimizers),
  };
}
