// Exports a whole pipeline: UNet, decoder and text encoder as ONNX files, and pipeline.json, which says how to sample with them.
// The sampler is written as numbers, two for each step, so that running it needs no library but a runtime.
import {mkdir, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {Prediction} from '../diffusion/objective.ts';
import {cleanOf, noiseOf, weighted} from '../diffusion/samplers/sampler.ts';
import {spacedTimesteps} from '../diffusion/samplers/spacing.ts';
import {makeSchedule, type NoiseSchedule, type ScheduleConfig} from '../diffusion/schedule.ts';
import type {AutoencoderConfig, TextEncoderConfig, UNetConfig} from '../models/index.ts';
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
  readonly text?: string;
  /** [T, h, w, C] of one video's latents, or [h, w, C] of an image's. */
  readonly latents: readonly number[];
  readonly scaleFactor: number;
  readonly prediction: Prediction;
  readonly sampler: 'ddim';
  readonly schedule: ScheduleConfig;
  readonly steps: readonly PipelineStep[];
  /** Classifier-free guidance towards the text; 1 is none. */
  readonly guidanceScale: number;
  readonly framesPerSecond: number;
}

export interface PipelineParts {
  readonly unet: {readonly config: UNetConfig; readonly values: WeightValues};
  readonly autoencoder: {readonly config: AutoencoderConfig; readonly values: WeightValues};
  readonly text?: {readonly config: TextEncoderConfig; readonly values: WeightValues};
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

/** DDIM (Song et al. 2021, eq. 12, eta = 0) as a table: each step is linear in the latents and the prediction. */
export function ddimSteps(schedule: NoiseSchedule, prediction: Prediction, steps: number): PipelineStep[] {
  const timesteps = spacedTimesteps(schedule, steps);
  return timesteps.map((timestep, i) => {
    const next = timesteps[i + 1] ?? 0;
    const [alpha, sigma] = [schedule.alphas[timestep]!, schedule.sigmas[timestep]!];
    const clean = cleanOf(prediction, alpha, sigma);
    const update = weighted(
      [schedule.alphas[next]!, clean],
      [schedule.sigmas[next]!, noiseOf(prediction, alpha, sigma)],
    );
    return {timestep, ...update};
  });
}

/** Writes unet.onnx, decoder.onnx, text.onnx (where there is text) and, last, pipeline.json into `folder`. */
export async function exportPipeline(
  parts: PipelineParts,
  folder: string,
  options: PipelineOptions,
): Promise<ExportedPipeline> {
  const {schedule, prediction, steps, frames, height, width, guidanceScale = 1, framesPerSecond = 8, ...onnx} = options;
  await mkdir(folder, {recursive: true});
  const clip = frames === undefined ? {} : {frames};
  const tokens = parts.text ? {tokens: parts.text.config.tokens} : {};
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
  const temporal = frames !== undefined && parts.autoencoder.config.temporalDecoder !== undefined;
  const sizes = {batch: temporal ? 1 : (frames ?? 1), height, width, ...(temporal ? clip : {})};
  const decoder = {component: 'decoder', config: parts.autoencoder.config} as const;
  components.decoder = await exportComponent(decoder, parts.autoencoder.values, at('decoder.onnx'), {
    ...onnx,
    metadata,
    sizes,
  });
  if (parts.text) {
    const text = {component: 'text', config: parts.text.config} as const;
    components.text = await exportComponent(text, parts.text.values, at('text.onnx'), {
      ...onnx,
      metadata,
      sizes: {batch: 1, ...tokens},
    });
  }
  const description: PipelineDescription = {
    format: 1,
    unet: 'unet.onnx',
    decoder: 'decoder.onnx',
    decoderTakesClips: temporal,
    ...(parts.text ? {text: 'text.onnx'} : {}),
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
