// From a run to ONNX files: one component, or the whole pipeline with its sampler.
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {type EngineName, openEngine} from '../src/engine/index.ts';
import {
  type ComponentModel,
  type ExportedComponent,
  exportComponent,
  exportPipeline,
  type WeightValues,
} from '../src/export/index.ts';
import type {AutoencoderConfig} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import {type LoadedRun, loadRun, needAutoencoder} from './load_run.ts';
import type {Weights} from './parts.ts';

export interface ExportRunOptions {
  /** Run folder, or a checkpoint folder in it. */
  run: string;
  component: 'unet' | 'encoder' | 'decoder' | 'pipeline';
  /** A .onnx file, or for the pipeline a folder. */
  out: string;
  opset?: number | undefined;
  half: boolean;
  verify: boolean;
  dynamic: readonly ('batch' | 'frames' | 'height' | 'width')[];
  /** Sampler steps of the pipeline. */
  steps: number;
  weights: 'ema' | 'raw';
  engine: EngineName | 'auto';
}

/** Writes and, unless told not to, proves the files equal to the engine. @throws UserError where they are not. */
export async function exportRun(options: ExportRunOptions): Promise<Readonly<Record<string, ExportedComponent>>> {
  const {run, component, out, opset, half, verify, dynamic, steps} = options;
  const loaded = await loadRun(run, options.weights);
  await openEngine(options.engine);
  const common = {
    ...(opset === undefined ? {} : {opset}),
    ...(half ? {weightType: 'float16' as const} : {}),
    verify,
    metadata: metadataOf(loaded),
  };
  const exported =
    component === 'pipeline'
      ? await pipeline(loaded, out, steps, common)
      : {[component]: await single(loaded, component, out, {...common, dynamic})};
  const failed = Object.entries(exported).find(([, {verification}]) => verification && !verification.passed);
  if (failed)
    throw new UserError(
      `${failed[0]} in onnxruntime differs from the engine by ${failed[1].verification!.worst} (relative L2), more than is allowed: do not use ${out}.`,
    );
  return exported;
}

type Common = {opset?: number; weightType?: 'float16'; verify: boolean; metadata: Record<string, string>};

async function single(
  loaded: LoadedRun,
  component: 'unet' | 'encoder' | 'decoder',
  out: string,
  options: Common & Pick<ExportRunOptions, 'dynamic'>,
): Promise<ExportedComponent> {
  const {config} = loaded;
  const {autoencoder, latentSize, frames} = shapesOf(loaded);
  const [height, width] = component === 'encoder' ? config.data.size : latentSize;
  if (component === 'unet') {
    const unet = needUNet(loaded);
    const sizes = {batch: 1, height, width, ...(unet.config.temporal ? {frames} : {})};
    return exportComponent({component, config: unet.config}, valuesOf(unet.weights), out, {...options, sizes});
  }
  const model: ComponentModel = {component, config: autoencoder};
  return exportComponent(model, valuesOf(needAutoencoder(loaded).weights), out, {
    ...options,
    sizes: {batch: 1, height, width},
  });
}

async function pipeline(
  loaded: LoadedRun,
  folder: string,
  steps: number,
  options: Common,
): Promise<Readonly<Record<string, ExportedComponent>>> {
  const unet = needUNet(loaded);
  const {autoencoder, latentSize, frames} = shapesOf(loaded);
  const [height, width] = latentSize;
  const {components} = await exportPipeline(
    {
      unet: {config: unet.config, values: valuesOf(unet.weights)},
      autoencoder: {config: autoencoder, values: valuesOf(needAutoencoder(loaded).weights)},
    },
    folder,
    {
      ...options,
      ...loaded.diffusion!,
      steps,
      height,
      width,
      ...(unet.config.temporal ? {frames} : {}),
      framesPerSecond: loaded.config.data.fps ?? 8,
    },
  );
  return components;
}

/** The autoencoder with its scale factor, and the sizes that the run was trained at. */
function shapesOf(loaded: LoadedRun): {
  autoencoder: AutoencoderConfig;
  latentSize: [number, number];
  frames: number;
} {
  const {scaleFactor, config} = loaded;
  const autoencoder = needAutoencoder(loaded);
  const factor = 2 ** (autoencoder.config.channels.length - 1);
  const [height, width] = config.data.size;
  return {
    autoencoder: {...autoencoder.config, scaleFactor},
    latentSize: [height / factor, width / factor],
    frames: config.data.frames,
  };
}

function needUNet({unet, path: run, config}: LoadedRun): NonNullable<LoadedRun['unet']> {
  if (!unet)
    throw new UserError(`${run} is of stage "${config.stage}" and has no UNet: export its encoder or decoder.`);
  return unet;
}

function valuesOf(weights: Weights): WeightValues {
  return ({path: name}) => {
    const found = weights.get(name);
    if (!found) throw new UserError(`The run has no weight ${name}.`);
    return found.data;
  };
}

function metadataOf({checkpoint, config, step, diffusion, scaleFactor}: LoadedRun): Record<string, string> {
  const hash = createHash('sha256')
    .update(readFileSync(path.join(checkpoint, 'state.json')))
    .digest('hex');
  return {
    stage: config.stage,
    step: String(step),
    checkpoint: hash,
    config: JSON.stringify(config),
    ...(diffusion ? {prediction: diffusion.prediction, schedule: JSON.stringify(diffusion.schedule)} : {}),
    ...(scaleFactor === undefined ? {} : {scaleFactor: String(scaleFactor)}),
  };
}
