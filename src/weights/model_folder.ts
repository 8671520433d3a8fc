// Model folders: diffusers' own layout (unet/, vae/, text_encoder/, tokenizer/, scheduler/, each model with a config.json and
// one safetensors file or its shards), and beside it what a video model adds: temporal/, the layers over time under Stable
// Video Diffusion's names, and temporal_text_encoder/ with temporal_tokenizer/ where those layers have a text of their own.
import {existsSync} from 'node:fs';
import path from 'node:path';
import type {Prediction} from '../diffusion/index.ts';
import type {
  AutoencoderConfig,
  TemporalConfig,
  TextEncoderConfig,
  TokenizerOptions,
  UNetConfig,
} from '../models/index.ts';
import {UserError} from '../platform/user_error.ts';
import {textPathOf} from './import_sources/split_single_file.ts';
import {type Json, readJson} from './json_file.ts';
import {fromDiffusers} from './key_maps/diffusers.ts';
import {
  autoencoderFromDiffusers,
  textEncoderFromTransformers,
  unetFromDiffusers,
} from './key_maps/diffusers_configs.ts';
import {type DiffusionSettings, diffusionFromDiffusers} from './key_maps/scheduler_config.ts';
import {temporalClassName, temporalFromJson} from './key_maps/temporal_config.ts';

export type {DiffusionSettings};

/** One model of a folder: what to build, the file to open (an index where there are shards), and the names in it. */
export interface FolderModel<Config> {
  readonly folder: string;
  readonly config: Config;
  readonly file: string;
  readonly pathOf: (name: string) => string | undefined;
}

/** A text encoder's tokenizer: its folder, and how short texts are filled. */
export interface FolderTokenizer {
  readonly folder: string;
  readonly options: TokenizerOptions;
}

export interface ModelFolder {
  readonly path: string;
  /** The image model's UNet; `temporal` has the layers over time apart. */
  readonly unet?: FolderModel<UNetConfig>;
  readonly temporal?: FolderModel<TemporalConfig>;
  readonly vae?: FolderModel<AutoencoderConfig>;
  readonly text?: FolderModel<TextEncoderConfig>;
  readonly tokenizer?: FolderTokenizer;
  /** The text of the temporal layers, where it is not that of the spatial ones. */
  readonly temporalText?: FolderModel<TextEncoderConfig>;
  readonly temporalTokenizer?: FolderTokenizer;
  readonly diffusion?: DiffusionSettings;
  /** The x4 upscaler's: how noise is put on the low-resolution images. */
  readonly lowResolution?: DiffusionSettings;
}

export interface ModelFolderOptions {
  /** Picks files such as `model.fp16.safetensors`. */
  readonly variant?: string | undefined;
  /** What the network predicts, where the folder says it wrongly or not at all. */
  readonly prediction?: Prediction | undefined;
}

/** Whether a path is a folder that `readModelFolder` reads. */
export function isModelFolder(folder: string): boolean {
  return places(folder).length > 0;
}

/**
 * What a model folder (or one model's own folder) holds; no weight is read.
 * @throws UserError where there is no model, or a configuration without weights.
 */
export async function readModelFolder(folder: string, options: ModelFolderOptions = {}): Promise<ModelFolder> {
  const found = places(folder);
  if (found.length === 0)
    throw new UserError(
      `${folder} is no model folder: neither it nor unet/, vae/, text_encoder/ in it holds a config.json.`,
    );
  let models: ModelFolder = {path: folder};
  for (const place of found) models = {...models, ...(await readOne(place, options.variant))};
  const {prediction} = options;
  const scheduler = await schedulerIn(path.join(folder, 'scheduler'), prediction);
  const lowResolution = await schedulerIn(path.join(folder, 'low_res_scheduler'), undefined);
  const tokenizer = await tokenizerIn(path.join(folder, 'tokenizer'), models.text?.config);
  const temporalTokenizer = await tokenizerIn(path.join(folder, 'temporal_tokenizer'), models.temporalText?.config);
  return {
    ...models,
    ...(scheduler ? {diffusion: scheduler} : {}),
    ...(lowResolution ? {lowResolution} : {}),
    ...(tokenizer ? {tokenizer} : {}),
    ...(temporalTokenizer ? {temporalTokenizer} : {}),
  };
}

const parts = ['unet', 'vae', 'text_encoder', 'temporal', 'temporal_text_encoder'] as const;

function places(folder: string): string[] {
  const configured = (place: string) => existsSync(path.join(place, 'config.json'));
  return configured(folder) ? [folder] : parts.map(part => path.join(folder, part)).filter(configured);
}

async function readOne(folder: string, variant: string | undefined): Promise<Partial<ModelFolder>> {
  const configFile = path.join(folder, 'config.json');
  const config = await readJson(configFile);
  const kind = String(config._class_name ?? (Array.isArray(config.architectures) ? config.architectures[0] : ''));
  const common = () => ({folder, file: weightFile(folder, variant)});
  if (/^UNet(2DCondition|SpatioTemporalCondition)Model$/.test(kind))
    return {unet: {...common(), config: unetFromDiffusers(config, configFile), pathOf: fromDiffusers}};
  if (/^AutoencoderKL(TemporalDecoder)?$/.test(kind))
    return {vae: {...common(), config: autoencoderFromDiffusers(config, configFile), pathOf: fromDiffusers}};
  if (kind === temporalClassName)
    return {temporal: {...common(), config: temporalFromJson(config, configFile), pathOf: fromDiffusers}};
  if (/^CLIPTextModel/.test(kind)) {
    const text = {...common(), config: textEncoderFromTransformers(config, configFile), pathOf: textPathOf};
    return path.basename(folder) === 'temporal_text_encoder' ? {temporalText: text} : {text};
  }
  throw new UserError(
    `${configFile} is of a "${kind}", expected UNet2DConditionModel, UNetSpatioTemporalConditionModel, AutoencoderKL, AutoencoderKLTemporalDecoder, CLIPTextModel or ${temporalClassName}.`,
  );
}

async function schedulerIn(folder: string, prediction: Prediction | undefined): Promise<DiffusionSettings | undefined> {
  const file = path.join(folder, 'scheduler_config.json');
  return existsSync(file) ? diffusionFromDiffusers(await readJson(file), file, prediction) : undefined;
}

async function tokenizerIn(folder: string, text: TextEncoderConfig | undefined): Promise<FolderTokenizer | undefined> {
  const has = (name: string) => existsSync(path.join(folder, name));
  if (!has('tokenizer.json') && !(has('vocab.json') && has('merges.txt'))) return undefined;
  const padding = (await padTokenIn(folder)) ?? (text?.activation === 'gelu' ? '!' : '<|endoftext|>');
  return {folder, options: {length: text?.tokens ?? 77, padding: padding === '!' ? 'zero' : 'end'}};
}

/** What fills short texts: a name, or an object that holds it. */
async function padTokenIn(folder: string): Promise<string | undefined> {
  for (const name of ['special_tokens_map.json', 'tokenizer_config.json']) {
    const file = path.join(folder, name);
    if (!existsSync(file)) continue;
    const {pad_token: token} = await readJson(file);
    if (typeof token === 'string') return token;
    if (typeof token === 'object' && token !== null && 'content' in token) return String((token as Json).content);
  }
  return undefined;
}

const stems = ['diffusion_pytorch_model', 'model'];

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
    : `no safetensors file${variant ? ` of the variant "${variant}"` : ''}`;
  throw new UserError(`${folder} holds ${why}.`);
}
