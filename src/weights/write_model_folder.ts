// Writes model folders: each model's tensors under diffusers' names and in torch's layout, copied one at a time as bytes (no
// engine, no second copy in memory), every file under a temporary folder that takes its name when all is there.
import {copyFile, mkdir, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {WeightSpec} from '../layers/block.ts';
import {initialValues} from '../layers/initializers.ts';
import {UserError} from '../platform/user_error.ts';
import {errorCode, explained} from './file_errors.ts';
import {type Dtype, type HostTensor, hostF32, toFloatDtype} from './host_tensor.ts';
import type {Json} from './json_file.ts';
import {torchShape, toTorch} from './layouts.ts';
import type {KeyReport, WeightSource} from './load_weights.ts';
import {type TensorSource, type WrittenFile, writeSafetensors} from './safetensors.ts';

export type FloatDtype = 'F32' | 'F16' | 'BF16';
export type PartName = 'unet' | 'vae' | 'text_encoder' | 'temporal' | 'temporal_text_encoder';

/** A model to write. */
export interface PartToWrite {
  readonly part: PartName;
  /** The configuration, or the file to copy it from. */
  readonly config: Json | {readonly copyOf: string};
  readonly tensors: Iterable<readonly [string, TensorSource]>;
}

/** A small file to write (JSON or text) or copy. */
export type SmallFile = {readonly name: string} & (
  | {readonly json: Json}
  | {readonly text: string}
  | {readonly copyOf: string}
);

/** 5 GB: a model above it is split into shards, as other tools do. */
const MAX_SHARD_BYTES = 5e9;

const stemOf = (part: PartName) => (part.endsWith('text_encoder') ? 'model' : 'diffusion_pytorch_model');

/**
 * Writes a folder that is not there yet. @throws UserError where it is there, or cannot be written; then nothing is left.
 */
export async function writeModelFolder(
  folder: string,
  parts: readonly PartToWrite[],
  files: readonly SmallFile[],
): Promise<WrittenFile[]> {
  const temporary = `${folder.replace(/[\\/]+$/, '')}.importing-${process.pid}`;
  const written: WrittenFile[] = [];
  try {
    await explained('write', folder, () => mkdir(temporary, {recursive: true}));
    for (const {part, config, tensors} of parts) {
      const place = path.join(temporary, part);
      await explained('write', folder, () => mkdir(place));
      await putSmall(temporary, {name: path.join(part, 'config.json'), ...asSource(config)});
      const file = path.join(place, `${stemOf(part)}.safetensors`);
      written.push(
        ...(await writeSafetensors(file, tensors, {metadata: {format: 'pt'}, maxShardBytes: MAX_SHARD_BYTES})),
      );
    }
    for (const file of files) await putSmall(temporary, file);
    await moveInto(temporary, folder);
    return written.map(one => ({...one, file: path.join(folder, path.relative(temporary, one.file))}));
  } finally {
    await rm(temporary, {recursive: true, force: true});
  }
}

/** Only into a name that is free, or an empty folder's. */
async function moveInto(temporary: string, folder: string): Promise<void> {
  try {
    await rename(temporary, folder);
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errorCode(error) ?? ''))
      throw new UserError(`${folder} is there already: choose another --out, or remove it first.`);
    throw error;
  }
}

async function putSmall(folder: string, file: SmallFile): Promise<void> {
  const target = path.join(folder, file.name);
  await explained('write', target, async () => {
    await mkdir(path.dirname(target), {recursive: true});
    if ('copyOf' in file) await copyFile(file.copyOf, target);
    else if ('text' in file) await writeFile(target, file.text);
    else await writeFile(target, `${JSON.stringify(file.json, undefined, 2)}\n`);
  });
}

function asSource(config: PartToWrite['config']): {json: Json} | {copyOf: string} {
  return isCopy(config) ? config : {json: config as Json};
}

function isCopy(config: PartToWrite['config']): config is {readonly copyOf: string} {
  return 'copyOf' in config && typeof config.copyOf === 'string' && Object.keys(config).length === 1;
}

/**
 * Tensors of a file as a model has them: diffusers' names and shapes, the type kept or another float type. A weight that
 * the report says is missing gets its initial values.
 */
export function* tensorsFrom(
  source: WeightSource,
  report: KeyReport,
  specs: readonly WeightSpec[],
  {dtype, nameOf = name => name}: {dtype?: FloatDtype | undefined; nameOf?: (path: string) => string} = {},
): Generator<[string, TensorSource]> {
  for (const [name, spec] of report.matched) {
    const stored = source.tensors.get(name)?.dtype ?? 'F32';
    if (!isFloat(stored)) throw new UserError(`${source.path}: "${name}" is ${stored}, weights are F32, F16 or BF16.`);
    const target = dtype ?? stored;
    const shape = torchShape(spec.shape, spec.layout);
    const data = async () => toFloatDtype(await source.read(name), target).data;
    yield [nameOf(spec.path), {dtype: target, shape, data}];
  }
  const missing = new Set(report.missing);
  for (const spec of specs) {
    if (!missing.has(spec.path)) continue;
    const shape = torchShape(spec.shape, spec.layout);
    yield [nameOf(spec.path), {dtype: dtype ?? 'F32', shape, data: () => initial(spec, shape, dtype ?? 'F32').data}];
  }
}

function initial(spec: WeightSpec, shape: readonly number[], dtype: FloatDtype): HostTensor {
  const values = initialValues(spec.init, spec.shape, {seed: 0, path: spec.path});
  return toFloatDtype(hostF32(shape, toTorch(values, spec.shape, spec.layout)), dtype);
}

function isFloat(dtype: Dtype): dtype is FloatDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}
