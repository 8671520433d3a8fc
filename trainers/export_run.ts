// From a run to ONNX files: one component, or the whole pipeline with its sampler.
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {type EngineName, openEngine} from '../src/engine/index.ts';
import {
  type DynamicName,
  type ExportedComponent,
  exportComponent,
  exportPipeline,
  type WeightValues,
} from '../src/export/index.ts';
import {type AutoencoderConfig, contextTokens} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import {type LoadedModels, loadModelFolder, namesModelFolder} from './parents/load_models.ts';
import {type LoadedRun, loadRun} from './parents/load_run.ts';
import type {HostConditions, HostText, Weights} from './parents/parts.ts';
import {givenText} from './parents/resolve_conditions.ts';
import {readParts} from './sampling/host_parts.ts';

/** The text encoder's weights within the conditions. */
const TEXT_PREFIX = 'text_encoder.';

export type ExportedName = 'unet' | 'upsampler' | 'encoder' | 'decoder' | 'text' | 'conditions' | 'pipeline';

export interface ExportRunOptions {
  /** Run folder, a checkpoint folder in it, or a folder of imported models. */
  run: string;
  component: ExportedName;
  /** A run of stage decoder (or autoencoder) whose decoder a pipeline gets in place of the run's own. */
  decoder?: string | undefined;
  /** A .onnx file, or for the pipeline a folder. */
  out: string;
  opset?: number | undefined;
  half: boolean;
  verify: boolean;
  dynamic: readonly DynamicName[];
  /** Height and width in pixels; as trained when absent (512 for imported models). */
  size?: readonly [number, number] | undefined;
  /** Of a video model; as trained when absent (8 for imported models). */
  frames?: number | undefined;
  /** Sampler steps of the pipeline. */
  steps: number;
  /** Classifier-free guidance of the pipeline. */
  guidance: number;
  weights: 'ema' | 'raw';
  engine: EngineName | 'auto';
}

/** Writes and, unless told not to, proves the files equal to the engine. @throws UserError where they are not. */
export async function exportRun(options: ExportRunOptions): Promise<Readonly<Record<string, ExportedComponent>>> {
  const {component, out, opset, half, verify, dynamic} = options;
  const models: Models = await modelsOf(options);
  await openEngine(options.engine);
  const common: Common = {
    ...(opset === undefined ? {} : {opset}),
    ...(half ? {weightType: 'float16' as const} : {}),
    verify,
    metadata: metadataOf(models),
  };
  const exported =
    component === 'pipeline'
      ? await pipeline(models, options, common)
      : {[component]: await single(models, component, options, {...common, dynamic})};
  const failed = Object.entries(exported).find(([, {verification}]) => verification && !verification.passed);
  if (failed)
    throw new UserError(
      `${failed[0]} in onnxruntime differs from the engine by ${failed[1].verification!.worst} (relative L2), more than is allowed: do not use ${out}.`,
    );
  return exported;
}

/** A run's models with its configuration, or imported ones. */
type Models = LoadedModels & {readonly config?: LoadedRun['config']};
type Common = {opset?: number; weightType?: 'float16'; verify: boolean; metadata: Record<string, string>};

/** @throws UserError for a decoder of other latents, or for a component that has none. */
async function modelsOf({run, component, decoder, weights}: ExportRunOptions): Promise<Models> {
  if (decoder === undefined) return namesModelFolder(run) ? loadModelFolder(run) : loadRun(run, weights);
  if (component !== 'pipeline')
    throw new UserError(`--decoder is for a pipeline; export the decoder of ${decoder} by itself.`);
  const parts = await readParts({keyFrames: run, decoder}, weights);
  return {...parts.keyFrames, autoencoder: parts.decoder?.autoencoder};
}

async function single(
  models: Models,
  component: Exclude<ExportedName, 'pipeline'>,
  {out, ...asked}: ExportRunOptions,
  options: Common & Pick<ExportRunOptions, 'dynamic'>,
): Promise<ExportedComponent> {
  const {image, latents, frames} = shapesOf(models, asked);
  switch (component) {
    case 'unet':
    case 'upsampler': {
      const {config, weights} = need(models, 'unet', component);
      if (component === 'upsampler' && !isUpsampler(models))
        throw new UserError(`${models.path} is of stage "${models.stage}", no upsampler: export its unet.`);
      const conditions = conditionsOf(models);
      const tokens = conditions && contextTokens(conditions.config);
      const sizes = {batch: 1, ...latents, ...(config.temporal ? {frames} : {}), ...(tokens ? {tokens} : {})};
      return exportComponent({component, config}, valuesOf(weights), out, {...options, sizes});
    }
    case 'encoder':
    case 'decoder': {
      const {config, weights} = need(models, 'autoencoder', component);
      const clip = component === 'decoder' && config.temporalDecoder ? {frames} : {};
      const sizes = {batch: 1, ...(component === 'encoder' ? image : latents), ...clip};
      return exportComponent({component, config: scaled(models, config)}, valuesOf(weights), out, {...options, sizes});
    }
    case 'text': {
      const {config, weights} = textOf(models);
      return exportComponent({component, config}, valuesOf(weights), out, options);
    }
    case 'conditions': {
      const {config, weights} = conditionsOf(models) ?? refuse(models, component);
      return exportComponent({component, config}, valuesOf(weights), out, options);
    }
  }
}

async function pipeline(
  models: Models,
  {out, steps, guidance, ...asked}: ExportRunOptions,
  options: Common,
): Promise<Readonly<Record<string, ExportedComponent>>> {
  const [unet, autoencoder] = [need(models, 'unet', 'pipeline'), need(models, 'autoencoder', 'pipeline')];
  const conditions = conditionsOf(models);
  if (models.temporalText && unet.config.temporal)
    throw new UserError(
      `The layers over time of ${models.path} have a text encoder of their own, for which a pipeline of ONNX files has no place yet: sample it here, or export a model with one text.`,
    );
  const {latents, frames} = shapesOf(models, asked);
  const {components} = await exportPipeline(
    {
      unet: {config: unet.config, values: valuesOf(unet.weights)},
      autoencoder: {config: scaled(models, autoencoder.config), values: valuesOf(autoencoder.weights)},
      conditions: conditions && {config: conditions.config, values: valuesOf(conditions.weights)},
    },
    out,
    {
      ...options,
      ...(models.diffusion ?? refuse(models, 'pipeline')),
      steps,
      ...latents,
      ...(unet.config.temporal ? {frames} : {}),
      guidanceScale: guidance,
      framesPerSecond: models.config?.data.fps ?? 8,
    },
  );
  return components;
}

/** What the models were trained at, unless something else is asked for. @throws UserError for a size that does not divide. */
function shapesOf(
  {autoencoder, config}: Models,
  {size, frames}: Pick<ExportRunOptions, 'size' | 'frames'>,
): {image: {height: number; width: number}; latents: {height: number; width: number}; frames: number} {
  const [height, width] = size ?? config?.data.size ?? [512, 512];
  const factor = autoencoder ? 2 ** (autoencoder.config.channels.length - 1) : 1;
  if (height % factor !== 0 || width % factor !== 0)
    throw new UserError(
      `--size ${height} ${width}: both must be multiples of ${factor}, by which the autoencoder divides.`,
    );
  return {
    image: {height, width},
    latents: {height: height / factor, width: width / factor},
    frames: frames ?? config?.data.frames ?? 8,
  };
}

function scaled({scaleFactor}: Models, config: AutoencoderConfig): AutoencoderConfig {
  return {...config, scaleFactor};
}

function isUpsampler({stage, lowResolution}: Models): boolean {
  return stage.startsWith('upsampler') || lowResolution !== undefined;
}

/** A run has its text encoder within its conditions, imported models beside the UNet. */
function conditionsOf({conditions, text}: Models): Pick<HostConditions, 'config' | 'weights'> | undefined {
  if (conditions || !text) return conditions;
  const {config, weights} = givenText(text);
  return {config: {dim: text.config.channels, text: config}, weights};
}

function textOf(models: Models): Pick<HostText, 'config' | 'weights'> {
  const {text, conditions} = models;
  if (text) return text;
  const config = conditions?.config.text?.encoder;
  if (!conditions || !config) return refuse(models, 'text');
  const own = [...conditions.weights].filter(([path]) => path.startsWith(TEXT_PREFIX));
  return {config, weights: new Map(own.map(([path, values]) => [path.slice(TEXT_PREFIX.length), values]))};
}

function need<Name extends 'unet' | 'autoencoder'>(
  models: Models,
  name: Name,
  component: ExportedName,
): NonNullable<Models[Name]> {
  return (models[name] ?? refuse(models, component)) as NonNullable<Models[Name]>;
}

function refuse({path: run, stage, ...models}: Models, component: ExportedName): never {
  const has: ExportedName[] = [
    ...(models.unet ? (['unet'] as const) : []),
    ...(models.autoencoder ? (['encoder', 'decoder'] as const) : []),
    ...((models.text ?? models.conditions?.config.text) ? (['text'] as const) : []),
    ...((models.text ?? models.conditions) ? (['conditions'] as const) : []),
  ];
  const what = has.length > 0 ? `export ${has.join(', ')}` : 'there is nothing to export';
  throw new UserError(`${run} is of stage "${stage}" and has no ${component}: ${what}.`);
}

function valuesOf(weights: Weights): WeightValues {
  return ({path: name}) => {
    const found = weights.get(name);
    if (!found) throw new UserError(`The run has no weight ${name}.`);
    return found.data;
  };
}

/** The component's own configuration and kind are added where it is written. */
function metadataOf({checkpoint, config, stage, step, diffusion, scaleFactor}: Models): Record<string, string> {
  const state = path.join(checkpoint, 'state.json');
  return {
    stage,
    step: String(step),
    ...(config
      ? {checkpoint: createHash('sha256').update(readFileSync(state)).digest('hex'), training: JSON.stringify(config)}
      : {source: path.basename(path.resolve(checkpoint))}),
    ...(diffusion ? {prediction: diffusion.prediction, schedule: JSON.stringify(diffusion.schedule)} : {}),
    ...(scaleFactor === undefined ? {} : {scaleFactor: String(scaleFactor)}),
  };
}
