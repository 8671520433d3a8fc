// Folders as diffusers saves them: unet/, vae/ and text_encoder/, each with a config.json and one safetensors file or its
// shards. They are read into our configurations and sources of weights.
import {existsSync, readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import type {AutoencoderConfig, TextEncoderConfig, UNetConfig} from '../models/index.ts';
import {UserError} from '../platform/user_error.ts';
import {explained} from './file_errors.ts';
import {textPathOf} from './import_weights.ts';
import {fromDiffusers} from './key_maps/diffusers.ts';
import {
  autoencoderFromDiffusers,
  textEncoderFromTransformers,
  unetFromDiffusers,
} from './key_maps/diffusers_configs.ts';

type PathOf = (name: string) => string | undefined;

/** One model of a folder: what to build, the file to open, and the names in it. */
export type FolderModel =
  | {readonly part: 'unet'; readonly config: UNetConfig; readonly file: string; readonly pathOf: PathOf}
  | {readonly part: 'vae'; readonly config: AutoencoderConfig; readonly file: string; readonly pathOf: PathOf}
  | {readonly part: 'text'; readonly config: TextEncoderConfig; readonly file: string; readonly pathOf: PathOf};

const MAX_CONFIG_BYTES = 2 ** 20;
const stems = ['diffusion_pytorch_model', 'model'];

/**
 * The models of a diffusers folder (or of one model's own folder). `variant` picks files such as `model.fp16.safetensors`.
 * @throws UserError where there is no model, or a configuration without weights.
 */
export async function readModelFolder(folder: string, {variant}: {variant?: string} = {}): Promise<FolderModel[]> {
  const places = existsSync(path.join(folder, 'config.json'))
    ? [folder]
    : ['unet', 'vae', 'text_encoder'].map(name => path.join(folder, name));
  const found = places.filter(place => existsSync(path.join(place, 'config.json')));
  if (found.length === 0)
    throw new UserError(
      `${folder} is no diffusers folder: neither it nor unet/, vae/, text_encoder/ in it holds a config.json.`,
    );
  return Promise.all(found.map(place => readOne(place, variant)));
}

async function readOne(folder: string, variant: string | undefined): Promise<FolderModel> {
  const configFile = path.join(folder, 'config.json');
  const config = await explained('read', configFile, async () => parseConfig(configFile));
  const file = weightFile(folder, variant);
  const kind = String(config._class_name ?? (Array.isArray(config.architectures) ? config.architectures[0] : ''));
  if (/^UNet(2DCondition|SpatioTemporalCondition)Model$/.test(kind))
    return {part: 'unet', config: unetFromDiffusers(config), file, pathOf: fromDiffusers};
  if (/^AutoencoderKL(TemporalDecoder)?$/.test(kind))
    return {part: 'vae', config: autoencoderFromDiffusers(config), file, pathOf: fromDiffusers};
  if (/^CLIPTextModel/.test(kind))
    return {part: 'text', config: textEncoderFromTransformers(config), file, pathOf: textPathOf};
  throw new UserError(
    `${configFile} is of a "${kind}", expected UNet2DConditionModel, UNetSpatioTemporalConditionModel, AutoencoderKL, AutoencoderKLTemporalDecoder or CLIPTextModel.`,
  );
}

function parseConfig(file: string): Record<string, unknown> {
  const {size} = statSync(file);
  if (size > MAX_CONFIG_BYTES)
    throw new UserError(`${file} has ${size} bytes, more than a model's configuration can have (${MAX_CONFIG_BYTES}).`);
  let config: unknown;
  try {
    config = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(`${file} is no JSON: ${error instanceof Error ? error.message : error}.`);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new UserError(`${file} must hold a JSON object.`);
  return config as Record<string, unknown>;
}

function weightFile(folder: string, variant: string | undefined): string {
  const infix = variant ? `.${variant}` : '';
  for (const stem of stems) {
    for (const name of [`${stem}${infix}.safetensors`, `${stem}.safetensors.index${infix}.json`]) {
      const file = path.join(folder, name);
      if (existsSync(file)) return file;
    }
  }
  const pickled = stems.some(
    stem => existsSync(path.join(folder, `${stem}.bin`)) || existsSync(path.join(folder, `pytorch_${stem}.bin`)),
  );
  const why = pickled
    ? 'only a pickle (.bin), which is not read: save it anew with safe_serialization=True'
    : 'no safetensors file';
  throw new UserError(`${folder} holds ${why}.`);
}
