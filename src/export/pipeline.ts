// Exports a whole pipeline: UNet, decoder and encoder of the conditions as ONNX files, and pipeline.json, which says how to sample with them.
// The sampler is written as numbers, two for each step, so that running it needs no library but a runtime.
import {mkdir, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {Prediction} from '../diffusion/objective.ts';
import {samplerSteps} from '../diffusion/samplers/index.ts';
import {makeSchedule, type NoiseSchedule, type ScheduleConfig} from '../diffusion/schedule.ts';
import {type AutoencoderConfig, type ConditionsConfig, contextTokens, type UNetConfig} from '../models/index.ts';
import {UserError} from '../platform/user_error.ts';
import {type ComponentOptions, type ExportedComponent, exportComponent} from './component.ts';
import type {WeightValues} from './lazy_weights.ts';

/** One step of sampling: latents' = x * latents + output * (what the UNet says of latents at the timestep). */
export interface PipelineStep {
  readonly timestep: number;
  readonly x: number;
  readonly output: number;
}

/** The contents of pipeline.json. */
export interface PipelineDescription {
  readonly format: 1;
  readonly unet: string;
  readonly decoder: string;
  /** Whether the decoder works over time, on [1, T, h, w, C]; else it takes frames as images, [T, h, w, C]. */
  readonly decoderTakesClips: boolean;
  /** What the model is conditioned on; absent: nothing. */
  readonly conditions?: {
    /** The encoder of text, labels and boxes; absent where there is a frame rate alone. */
    readonly file?: string;
    /** For `conditionArrays`, which makes the encoder's inputs and the frame rate's number of what a user asks for. */
    readonly config: ConditionsConfig;
  };
  /** Channels of the UNet's input for given frames, fed zeros where none are given; absent: it has none. */
  readonly givenChannels?: number;
  /** [T, h, w, C] of one video's latents, or [h, w, C] of an image's. */
  readonly latents: readonly number[];
  readonly scaleFactor: number;
  readonly prediction: Prediction;
  readonly sampler: 'ddim';
  readonly schedule: ScheduleConfig;
  readonly steps: readonly PipelineStep[];
  /** Classifier-free guidance towards the conditions, unless a user asks for another scale; 1 is none. */
  readonly guidanceScale: number;
  readonly framesPerSecond: number;
}

export interface PipelineParts {
  readonly unet: {readonly config: UNetConfig; readonly values: WeightValues};
  readonly autoencoder: {readonly config: AutoencoderConfig; readonly values: WeightValues};
  readonly conditions?: {readonly config: ConditionsConfig; readonly values: WeightValues} | undefined;
}

export interface PipelineOptions extends Omit<ComponentOptions, 'sizes' | 'dynamic'> {
  readonly schedule: ScheduleConfig;
  readonly prediction: Prediction;
  readonly steps: number;
  /** Of the latents; frames absent for images. */
  readonly frames?: number;
  readonly height: number;
  readonly width: number;
  readonly guidanceScale?: number;
  readonly framesPerSecond?: number;
}

export interface ExportedPipeline {
  readonly description: PipelineDescription;
  readonly components: Readonly<Record<string, ExportedComponent>>;
}

/** DDIM as a table: each step is linear in the latents and the prediction. */
export function ddimSteps(schedule: NoiseSchedule, prediction: Prediction, steps: number): PipelineStep[] {
  return samplerSteps.ddim(schedule, prediction, steps).map(({timestep, next: {x, output}}) => ({timestep, x, output}));
}

/**
 * Writes unet.onnx, decoder.onnx, conditions.onnx (where there is text, a label or a box) and, last, pipeline.json into `folder`.
 * @throws UserError for a UNet that takes what the parts do not bring.
 */
export async function exportPipeline(
  parts: PipelineParts,
  folder: string,
  options: PipelineOptions,
): Promise<ExportedPipeline> {
  const {schedule, prediction, steps, frames, height, width, guidanceScale = 1, framesPerSecond = 8, ...onnx} = options;
  refuseUnfed(parts);
  await mkdir(folder, {recursive: true});
  const clip = frames === undefined ? {} : {frames};
  const {conditions} = parts;
  const {temporal} = parts.unet.config;
  const count = conditions ? contextTokens(conditions.config) : 0;
  const tokens = count > 0 ? {tokens: count} : {};
  const latents = [...(frames === undefined ? [] : [frames]), height, width, parts.unet.config.inChannels];
  const scaleFactor = parts.autoencoder.config.scaleFactor ?? 1;
  const metadata = {...onnx.metadata, prediction, schedule: JSON.stringify(schedule), scaleFactor: String(scaleFactor)};
  const at = (name: string) => path.join(folder, name);
  const components: Record<string, ExportedComponent> = {};
  components.unet = await exportComponent(
    {component: 'unet', config: parts.unet.config},
    parts.unet.values,
    at('unet.onnx'),
    {
      ...onnx,
      metadata,
      sizes: {batch: 1, height, width, ...clip, ...tokens},
    },
  );
  // A decoder without layers over time takes frames as images.
  const takesClips = frames !== undefined && parts.autoencoder.config.temporalDecoder !== undefined;
  const sizes = {batch: takesClips ? 1 : (frames ?? 1), height, width, ...(takesClips ? clip : {})};
  const decoder = {component: 'decoder', config: parts.autoencoder.config} as const;
  components.decoder = await exportComponent(decoder, parts.autoencoder.values, at('decoder.onnx'), {
    ...onnx,
    metadata,
    sizes,
  });
  if (conditions && count > 0) {
    const from = {component: 'conditions', config: conditions.config} as const;
    components.conditions = await exportComponent(from, conditions.values, at('conditions.onnx'), {...onnx, metadata});
  }
  const description: PipelineDescription = {
    format: 1,
    unet: 'unet.onnx',
    decoder: 'decoder.onnx',
    decoderTakesClips: takesClips,
    ...(conditions ? {conditions: {...(count > 0 ? {file: 'conditions.onnx'} : {}), config: conditions.config}} : {}),
    ...(frames !== undefined && temporal?.given ? {givenChannels: temporal.given.inputs} : {}),
    latents,
    scaleFactor,
    prediction,
    sampler: 'ddim',
    schedule,
    steps: ddimSteps(makeSchedule(schedule), prediction, steps),
    guidanceScale,
    framesPerSecond,
  };
  await writeFile(at('pipeline.json.partial'), `${JSON.stringify(description, undefined, 2)}\n`);
  await rename(at('pipeline.json.partial'), at('pipeline.json'));
  return {description, components};
}

/** A pipeline's sampler feeds latents, timesteps, conditions and zeros for given frames: nothing else. */
function refuseUnfed({unet: {config}, conditions}: PipelineParts): void {
  const {crossAttentionDim, addedNumbers, classEmbedding, temporal} = config;
  const refuse = (what: string) => {
    throw new UserError(`A pipeline cannot feed ${what}: export the components one by one.`);
  };
  const tokens = conditions ? contextTokens(conditions.config) : 0;
  if (crossAttentionDim !== undefined && tokens === 0)
    refuse('this UNet, which attends to text, without its text encoder');
  if (addedNumbers && !(conditions?.config.fps && addedNumbers.count === 1)) refuse("this UNet's added numbers");
  if (classEmbedding !== undefined) refuse('the noise level of an upsampler');
  const own = temporal?.contextDim;
  if (own !== undefined && own !== crossAttentionDim) refuse('temporal layers with a text of their own');
}
