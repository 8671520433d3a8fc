// A run (or imported models) as a model folder: diffusers' layout for the image model, autoencoder and text encoder, the
// layers over time apart under Stable Video Diffusion's names, so that they go onto any spatial UNet of the same shape.
import type {Block, WeightSpec} from '../src/layers/block.ts';
import {AutoencoderKL, TextEncoder, type TextEncoderConfig, UNet} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import {bytesOf, hostF32, toFloatDtype} from '../src/weights/host_tensor.ts';
import {toSvd} from '../src/weights/key_maps/diffusers.ts';
import {diffusionToDiffusers} from '../src/weights/key_maps/scheduler_config.ts';
import {temporalToJson} from '../src/weights/key_maps/temporal_config.ts';
import {
  autoencoderToDiffusers,
  textEncoderToTransformers,
  unetToDiffusers,
} from '../src/weights/key_maps/write_diffusers_configs.ts';
import {torchShape, toTorch} from '../src/weights/layouts.ts';
import type {TensorSource} from '../src/weights/safetensors.ts';
import {
  type FloatDtype,
  type PartName,
  type PartToWrite,
  type SmallFile,
  writeModelFolder,
} from '../src/weights/write_model_folder.ts';
import type {LoadedModels} from './parents/load_models.ts';
import {loadModels} from './parents/load_run.ts';
import type {HostConditions, HostText, Weights} from './parents/parts.ts';

export interface ExportModelsOptions {
  /** Run folder, a checkpoint in it, or a model folder. */
  readonly run: string;
  /** The folder to write; it must not be there yet. */
  readonly out: string;
  readonly dtype?: FloatDtype;
  readonly weights?: 'ema' | 'raw';
}

/**
 * Writes the folder and returns the tensors of each part.
 * @throws UserError for a model that diffusers' layout has no word for.
 */
export async function exportModels(options: ExportModelsOptions): Promise<Readonly<Record<string, number>>> {
  const {run, out, dtype = 'F32', weights: which = 'ema'} = options;
  const models = await loadModels(run, which);
  const {autoencoder, unet, diffusion, lowResolution, scaleFactor} = models;
  const parts: PartToWrite[] = [];
  const add = (
    part: PartName,
    block: Block,
    weights: Weights,
    config: PartToWrite['config'],
    {
      chosen = () => true,
      nameOf = name => name,
    }: {chosen?: (spec: WeightSpec) => boolean; nameOf?: (path: string) => string} = {},
  ) => parts.push({part, config, tensors: tensorsOf(block.weightSpecs().filter(chosen), weights, dtype, nameOf)});
  if (unet) {
    const {temporal, ...image} = unet.config;
    const spatial = ({part}: WeightSpec) => part === 'spatial';
    const block = new UNet(unet.config);
    add('unet', block, unet.weights, unetToDiffusers(image), {chosen: spatial});
    if (temporal)
      add('temporal', block, unet.weights, temporalToJson(temporal), {chosen: spec => !spatial(spec), nameOf: toSvd});
  }
  if (autoencoder)
    add(
      'vae',
      new AutoencoderKL(autoencoder.config),
      autoencoder.weights,
      autoencoderToDiffusers(autoencoder.config, scaleFactor),
    );
  const files: SmallFile[] = [];
  const text = textOf(models);
  if (text) {
    const config = textEncoderToTransformers(text.config);
    add('text_encoder', new TextEncoder(text.config), text.weights, config, {nameOf: name => `text_model.${name}`});
    files.push(...text.files);
  }
  const {temporalText} = models;
  if (temporalText && unet?.config.temporal) {
    const {config, weights} = temporalText;
    const json = textEncoderToTransformers(config);
    add('temporal_text_encoder', new TextEncoder(config), weights, json, {nameOf: name => `text_model.${name}`});
    files.push(...tokenizerFilesOf(temporalText, 'temporal_tokenizer'));
  }
  if (diffusion) files.push({name: 'scheduler/scheduler_config.json', json: diffusionToDiffusers(diffusion)});
  if (lowResolution)
    files.push({name: 'low_res_scheduler/scheduler_config.json', json: diffusionToDiffusers(lowResolution)});
  const counts = parts.map(({part, tensors, config}) => {
    const list = [...tensors];
    return {part, config, tensors: list};
  });
  await writeModelFolder(out, counts, files);
  return Object.fromEntries(counts.map(({part, tensors}) => [part, tensors.length]));
}

function* tensorsOf(
  specs: readonly WeightSpec[],
  weights: Weights,
  dtype: FloatDtype,
  nameOf: (path: string) => string,
): Generator<[string, TensorSource]> {
  for (const {path, shape, layout} of specs) {
    const found = weights.get(path);
    if (!found) throw new UserError(`The models hold no weight ${path}.`);
    const fileShape = torchShape(shape, layout);
    const data = () => {
      const moved = toTorch(found.data, shape, layout);
      return dtype === 'F32' ? bytesOf(moved) : toFloatDtype(hostF32(fileShape, moved), dtype).data;
    };
    yield [nameOf(path), {dtype, shape: fileShape, data}];
  }
}

const TEXT_PREFIX = 'text_encoder.';

/** The text encoder with its tokenizer, from the conditions of a run or as it was imported. */
function textOf({
  conditions,
  text,
}: LoadedModels): {config: TextEncoderConfig; weights: Weights; files: SmallFile[]} | undefined {
  if (!conditions) {
    if (!text) return undefined;
    return {config: text.config, weights: text.weights, files: tokenizerFilesOf(text, 'tokenizer')};
  }
  refuseOtherConditions(conditions);
  const own = conditions.config.text;
  if (!own) return undefined;
  const weights = new Map(
    [...conditions.weights].flatMap(([name, value]) =>
      name.startsWith(TEXT_PREFIX) ? [[name.slice(TEXT_PREFIX.length), value] as const] : [],
    ),
  );
  const {tokenizer} = own;
  if (tokenizer.kind !== 'bpe')
    throw new UserError("The model's text encoder hashes words, for which a diffusers folder has no tokenizer.");
  const ids = tokenizer.vocabulary.flatMap((token, id) => (token === '' ? [] : [[token, id] as const]));
  return {config: own.encoder, weights, files: tokenizerFiles('tokenizer', ids, tokenizer.merges, tokenizer.padding)};
}

function refuseOtherConditions({config: {labels, boxes, fps}}: HostConditions): void {
  const other = labels ? 'labels' : boxes ? 'boxes' : fps ? 'the frame rate' : undefined;
  if (other) throw new UserError(`The model is conditioned on ${other}, for which a diffusers folder has no place.`);
}

function tokenizerFilesOf({tokenizer: {vocabulary, merges}, tokenizerOptions}: HostText, folder: string): SmallFile[] {
  return tokenizerFiles(folder, vocabulary, merges, tokenizerOptions.padding ?? 'end');
}

function tokenizerFiles(
  folder: string,
  vocabulary: ReadonlyMap<string, number> | readonly (readonly [string, number])[],
  merges: readonly string[],
  padding: 'end' | 'zero',
): SmallFile[] {
  return [
    {name: `${folder}/vocab.json`, json: Object.fromEntries(vocabulary)},
    {name: `${folder}/merges.txt`, text: `#version: 0.2\n${merges.join('\n')}\n`},
    {name: `${folder}/special_tokens_map.json`, json: {pad_token: padding === 'zero' ? '!' : '<|endoftext|>'}},
  ];
}
