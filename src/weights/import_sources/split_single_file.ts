// Published checkpoints -> models: what a file holds is recognised by its keys, each of its models becomes a source of its
// own under our names, and nothing is read before every key is accounted for.
import {UserError} from '../../platform/user_error.ts';
import type {Dtype, HostTensor} from '../host_tensor.ts';
import {fromDiffusers} from '../key_maps/diffusers.ts';
import {
  emaKey,
  isTrainingState,
  namingOf,
  partOfKey,
  recogniseSingleFile,
  type SingleFileKind,
  splitInProjection,
  vaeLevels,
  vaeName,
} from '../key_maps/single_file.ts';
import type {WeightSource} from '../load_weights.ts';

export interface SingleFile {
  readonly kind: SingleFileKind;
  /** Each model's tensors under diffusers' names; a part the file lacks is absent. */
  readonly parts: Readonly<Partial<Record<'unet' | 'vae' | 'text', WeightSource>>>;
  /** Keys of no known form; refused unless allowed. */
  readonly unexpected: readonly string[];
}

export interface SingleFileOptions {
  /** Take the UNet's averaged weights, where the file has both. */
  readonly ema?: boolean;
  /** Leave out keys of no known form instead of refusing the file. */
  readonly allowUnexpected?: boolean;
}

/** Reads rows [from, from + rows) of a stored tensor. */
interface Place {
  readonly key: string;
  readonly shape: readonly number[];
  readonly dtype?: Dtype;
  readonly third?: 0 | 1 | 2;
}

/**
 * The models of a single file: an original checkpoint of Stable Diffusion 1.x, 2.x or its x4 upscaler, or one of their models
 * alone under original names or diffusers'.
 * @throws UserError for a file that is none, for keys of no known form, and for averages asked for and not there.
 */
export function splitSingleFile(
  source: WeightSource,
  {ema = false, allowUnexpected = false}: SingleFileOptions = {},
): SingleFile {
  const kind = recogniseSingleFile(source.tensors);
  const naming = namingOf(source.tensors);
  if (!kind || !naming) {
    throw new UserError(
      `${source.path} is no single-file checkpoint of Stable Diffusion 1.x, 2.x, the x4 upscaler, their autoencoder or text encoders: it has none of their keys. For a diffusers folder, give the folder.`,
    );
  }
  const levels = vaeLevels(source.tensors.keys());
  const places = {unet: new Map<string, Place>(), vae: new Map<string, Place>(), text: new Map<string, Place>()};
  const unexpected: string[] = [];
  for (const [key, {shape, dtype}] of source.tensors) {
    const typed = dtype === undefined ? {} : {dtype};
    const found = knownOr(() => partOfKey(key, naming), allowUnexpected ? () => void unexpected.push(key) : undefined);
    if (!found) continue;
    const {part} = found;
    const original = part === 'vae' && 'prefix' in naming;
    const name = fromDiffusers(original ? vaeName(key.replace('first_stage_model.', ''), levels) : found.name);
    const joint = splitInProjection(name);
    const before = places[part].get(joint?.[0] ?? name);
    if (before)
      throw new UserError(`${source.path}: "${before.key}" and "${key}" are both ${name}: remove one of them.`);
    if (joint) {
      const [rows = 0, ...rest] = shape;
      if (rows % 3 !== 0)
        throw new UserError(
          `${source.path}: "${key}" has ${rows} rows, which do not divide into queries, keys and values.`,
        );
      for (const [i, third] of joint.entries())
        places[part].set(third, {key, ...typed, shape: [rows / 3, ...rest], third: i as 0 | 1 | 2});
    } else {
      places[part].set(name, {key: ema && part === 'unet' ? averageOf(key, source) : key, ...typed, shape});
    }
  }
  const parts: Partial<Record<'unet' | 'vae' | 'text', WeightSource>> = {};
  for (const part of ['unet', 'vae', 'text'] as const)
    if (places[part].size > 0) parts[part] = partOf(source, places[part]);
  return {kind, parts, unexpected};
}

/** What `find` returns; where it refuses, undefined if `otherwise` takes note of it. */
function knownOr<T>(find: () => T | undefined, otherwise: (() => void) | undefined): T | undefined {
  try {
    return find();
  } catch (error) {
    if (!(otherwise && error instanceof UserError)) throw error;
    otherwise();
    return undefined;
  }
}

function averageOf(key: string, source: WeightSource): string {
  const average = emaKey(key);
  if (!source.tensors.has(average))
    throw new UserError(`${source.path} has no averaged copy of "${key}": import without the EMA option.`);
  return average;
}

function partOf(source: WeightSource, places: ReadonlyMap<string, Place>): WeightSource {
  return {
    path: source.path,
    tensors: places,
    read: async name => {
      const place = places.get(name);
      if (!place) throw new UserError(`${source.path} holds no tensor for "${name}".`);
      const tensor = await source.read(place.key);
      return place.third === undefined ? tensor : thirdOf(tensor, place.third);
    },
  };
}

/** A third of the rows, as a view. */
function thirdOf({dtype, shape, data}: HostTensor, third: 0 | 1 | 2): HostTensor {
  const [rows = 0, ...rest] = shape;
  const bytes = data.length / 3;
  return {dtype, shape: [rows / 3, ...rest], data: data.subarray(third * bytes, (third + 1) * bytes)};
}

/** The path of a text encoder weight in a transformers file: the prefix stripped, buffers left out. */
export function textPathOf(name: string): string | undefined {
  return isTrainingState(name) ? undefined : name.replace(/^text_model\./, '');
}

/** @throws UserError for a pickle, told by its name or its first bytes, with the way to convert it. */
export function refusePickle(file: string, firstBytes: Uint8Array = new Uint8Array(0)): void {
  const zip = firstBytes[0] === 0x50 && firstBytes[1] === 0x4b;
  const protocol = firstBytes[0] === 0x80 && firstBytes[1]! >= 2 && firstBytes[1]! <= 5;
  const header = firstBytes[8] === 0x7b;
  if (/\.(ckpt|pt|pth|bin)$/i.test(file) || zip || (protocol && !header)) {
    throw new UserError(
      `${file} is a pickle, which runs code when it is opened, so it is not read here: convert it first, in Python: from safetensors.torch import save_file; import torch; save_file({k: v.contiguous() for k, v in torch.load("${file}", weights_only=True)["state_dict"].items() if hasattr(v, "contiguous")}, "model.safetensors").`,
    );
  }
}
