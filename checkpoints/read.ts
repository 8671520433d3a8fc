// Reads checkpoints: verified by hash before a tensor is believed, and given whole or not at all.
import path from 'node:path';
import {UserError} from '../src/platform/user_error.ts';
import {elements, f32} from '../src/weights/host_tensor.ts';
import {fromTorch, tfShape, usualLayout, type WeightLayout} from '../src/weights/layouts.ts';
import {type SafetensorsFile, withSafetensors} from '../src/weights/safetensors.ts';
import {zerosOf} from '../src/weights/zeros.ts';
import {checkpointNames, checkSizes, parseCheckpointName, readLatest, readStateRecord} from './folder.ts';
import type {StateRecord} from './state_json.ts';
import type {LoadedState, NamedTensors, StatePart, StateTensor} from './train_state.ts';
import {verifyFile} from './write.ts';

export interface LoadOptions {
  /** Read these parts alone, such as the weights for sampling; all where absent. The others come back empty. */
  parts?: readonly StatePart[];
  /** False: zeros of the right shapes in place of values, which are neither read nor verified. */
  values?: boolean;
}

/** Reads every file of a checkpoint and compares it with its hash. @throws UserError naming what is wrong. */
export async function verifyCheckpoint(checkpoint: string): Promise<StateRecord> {
  const record = await readStateRecord(checkpoint);
  await checkSizes(checkpoint, record);
  for (const [name, {sha256}] of Object.entries(record.files)) await verifyFile(path.join(checkpoint, name), sha256);
  return record;
}

/** The state in one checkpoint folder. @throws UserError for one that is torn, altered or of an unknown format. */
export async function loadCheckpoint(checkpoint: string, options: LoadOptions = {}): Promise<LoadedState> {
  const {values = true} = options;
  const record = values ? await verifyCheckpoint(checkpoint) : await readStateRecord(checkpoint);
  const {formatVersion: _, createdAt: __, files, parts: had, ...rest} = record;
  const wanted = (part: StatePart) => options.parts?.includes(part) ?? true;
  const read = (stem: string): Promise<Map<string, StateTensor<Float32Array>>> => {
    const index = `${stem}.safetensors.index.json`;
    return readTensors(path.join(checkpoint, Object.hasOwn(files, index) ? index : `${stem}.safetensors`), values);
  };
  const companions: Record<string, NamedTensors<Float32Array>> = {};
  if (wanted('companions')) for (const name of had.companions) companions[name] = await read(name);
  return {
    ...rest,
    weights: wanted('weights') ? await read('model') : new Map(),
    ...(wanted('ema') && had.ema ? {ema: await read('ema')} : {}),
    ...(had.companions.length > 0 ? {companions} : {}),
    optimizers:
      wanted('optimizers') && had.optimizers.length > 0 ? byOptimizer(await read('optimizer'), had.optimizers) : {},
  };
}

export interface LatestCheckpoint {
  name: string;
  path: string;
  state: LoadedState;
  /** Newer ones that could not be used, and why: to be told to the user. */
  skipped: {name: string; reason: string}[];
}

/**
 * The newest whole checkpoint: the one `latest` names, or where that is damaged or gone, the newest that is whole.
 * Undefined where there is none at all. @throws UserError where there are some and all are damaged.
 */
export async function loadLatest(folder: string, options: LoadOptions = {}): Promise<LatestCheckpoint | undefined> {
  const names = await checkpointNames(folder);
  const latest = await readLatest(folder);
  const order = latest === undefined ? names : [latest, ...beforeFirst(names, latest)];
  const skipped: LatestCheckpoint['skipped'] = [];
  for (const name of order) {
    const at = path.join(folder, name);
    try {
      return {name, path: at, state: await loadCheckpoint(at, options), skipped};
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      skipped.push({name, reason: error.message});
    }
  }
  if (skipped.length === 0) return undefined;
  const [first] = skipped;
  throw new UserError(
    `None of the ${skipped.length} checkpoints in ${folder} can be used (the newest, ${first!.name}: ${first!.reason.replace(/\.$/, '')}): restore one, or train into another run folder.`,
  );
}

/** The other names, those up to the step of `latest` first: what is newer belongs to a run that was put back. */
function beforeFirst(names: readonly string[], latest: string): string[] {
  const {step} = parseCheckpointName(latest)!;
  const others = names.filter(name => name !== latest);
  const newer = (name: string) => parseCheckpointName(name)!.step > step;
  return [...others.filter(name => !newer(name)), ...others.filter(newer)];
}

async function readTensors(file: string, wantValues: boolean): Promise<Map<string, StateTensor<Float32Array>>> {
  return withSafetensors(file, async open => {
    const layouts = layoutsIn(open);
    const tensors = new Map<string, StateTensor<Float32Array>>();
    for (const [name, {dtype, shape: fileShape}] of open.tensors) {
      if (dtype !== 'F32') throw new UserError(`${file}: tensor "${name}" is ${dtype}, a checkpoint holds F32.`);
      const layout = layouts.get(name) ?? usualLayout(fileShape.length);
      const shape = tfShape(fileShape, layout);
      if (!wantValues) {
        tensors.set(name, {shape, layout, data: zerosOf(shape)});
        continue;
      }
      const values = f32(await open.read(name));
      if (values.length !== elements(shape)) throw new Error(`Tensor ${name} changed its size.`);
      tensors.set(name, {shape, layout, data: fromTorch(values, shape, layout)});
    }
    return tensors;
  });
}

function layoutsIn({metadata}: SafetensorsFile): Map<string, WeightLayout> {
  return new Map(Object.entries(JSON.parse(metadata.layouts ?? '{}') as Record<string, WeightLayout>));
}

/** `OPTIMIZER/SLOT` names taken apart. */
function byOptimizer(tensors: NamedTensors<Float32Array>, names: readonly string[]): LoadedState['optimizers'] {
  const groups: Record<string, Map<string, StateTensor<Float32Array>>> = {};
  for (const name of names) groups[name] = new Map();
  for (const [key, tensor] of tensors) {
    const slash = key.indexOf('/');
    groups[key.slice(0, slash)]?.set(key.slice(slash + 1), tensor);
  }
  return groups;
}
