// What layers over time are worth in the decoder and in the upsampler: flicker and spatial error of held-out clips, beside
// the same network trained equally long without them.
import path from 'node:path';
import {loadPipeline, type Sampling} from '../src/config/pipeline.ts';
import {makeSchedule} from '../src/diffusion/index.ts';
import {type EngineName, openEngine} from '../src/engine/index.ts';
import {UNet} from '../src/models/index.ts';
import * as tf from '../src/tf.ts';
import {upsampleClip} from '../trainers/held_out/preview_upsampled.ts';
import {loadRun} from '../trainers/index.ts';
import {heldOutBatches} from '../trainers/inputs/data.ts';
import {clipPixels} from '../trainers/inputs/latents.ts';
import {openUpsampling} from '../trainers/inputs/upsampling.ts';
import {flicker} from '../trainers/losses/flicker.ts';
import {allocateExactly} from '../trainers/parents/frozen.ts';
import {heldOut, step} from './stage_runs.ts';

export type FlickerStage = 'decoder' | 'upsampler';

/** Mean absolute change of the error between neighbouring frames, and mean absolute error, of pixels in [-1,1]. */
export interface FlickerFigures {
  readonly flicker: number;
  readonly error: number;
}

export interface FlickerComparison {
  readonly withLayers: FlickerFigures;
  readonly without: FlickerFigures;
}

export interface FlickerOptions {
  /** Folder of the parent runs (autoencoder, upsampler-image), and of these. */
  readonly root: string;
  /** Folder of decoder.yaml and upsampler.yaml, whose parents and shards are the runs and shards of `root`. */
  readonly configs: string;
  readonly engine: EngineName | 'auto';
  /** Absent: the configuration's, and the run of its name where it is there already. */
  readonly seed?: number | undefined;
  /** More arguments of `video-ldm train`. */
  readonly passedOn?: readonly string[];
}

/** How held-out clips are upsampled: as `video-ldm sample` does with the tiny pipeline. */
export type UpsamplingOptions = Pick<Sampling, 'sampler' | 'steps' | 'noiseLevel'>;

export function pipelineUpsampling(): UpsamplingOptions {
  const {sampler, steps, upsampleSteps, noiseLevel} = loadPipeline('configs/pipeline/pipeline.yaml').sampling;
  return {sampler, steps: upsampleSteps ?? steps, noiseLevel};
}

/** The bounds that are to be reached: flicker at least 10 % lower, error at most 2 % higher. */
export const bounds = {flicker: 0.1, error: 0.02} as const;

export function changes({withLayers, without}: FlickerComparison): {flickerLower: number; errorHigher: number} {
  return {
    flickerLower: 1 - withLayers.flicker / without.flicker,
    errorHigher: withLayers.error / without.error - 1,
  };
}

/** Trains what is not there yet, and measures. */
export async function compareFlicker(stage: FlickerStage, options: FlickerOptions): Promise<FlickerComparison> {
  const {root, configs, engine, seed, passedOn = []} = options;
  const suffix = seed === undefined ? '' : `-${seed}`;
  const [own, control] = [`${stage}${suffix}`, `${stage}-without${suffix}`];
  const run = (name: string, config: string, set: readonly string[]) => {
    const seeded = seed === undefined ? [] : ['--set', `run.seed=${seed}`];
    const common = ['--engine', engine, '--log', 'pretty', '--set', `run.root=${root}`, '--set', `run.name=${name}`];
    step(name, ['train', config, ...common, ...seeded, ...set, ...passedOn]);
  };
  const file = path.join(configs, `${stage}.yaml`);
  const from = (parent: string) => ['--set', `from=${path.join(root, parent)}`];
  if (stage === 'decoder') {
    run(own, file, [...from('autoencoder'), '--set', 'trains=decoder']);
    run(control, file, [...from('autoencoder'), '--set', 'trains=decoder', '--set', 'overTime=false']);
    const figures = (name: string): FlickerFigures => {
      const {last} = heldOut(path.join(root, name));
      return {flicker: last.flicker ?? Number.NaN, error: last.loss ?? Number.NaN};
    };
    return {withLayers: figures(own), without: figures(control)};
  }
  run(own, file, from('upsampler-image'));
  // The upsampler of frames goes on as it is: as many steps, on the same clips, of which each frame is an image.
  run(control, path.join(configs, 'controls', 'upsampler.yaml'), from('upsampler-image'));
  await openEngine(engine);
  return {
    withLayers: await upsampledFigures(path.join(root, own), 'video'),
    without: await upsampledFigures(path.join(root, control), 'image'),
  };
}

/**
 * Of held-out clips, upsampled: flicker and spatial error of a finished upsampler. Both modes start from the same noise and
 * are given the same noised low-resolution frames; every frame has noise of its own.
 */
export async function upsampledFigures(
  folder: string,
  mode: 'video' | 'image',
  {sampler, steps, noiseLevel}: UpsamplingOptions = pipelineUpsampling(),
): Promise<FlickerFigures> {
  const {unet: part, diffusion, config, ...rest} = await loadRun(folder);
  if (!part || !diffusion) throw new Error(`${folder} has no UNet.`);
  const unet = allocateExactly(new UNet(part.config), part.weights, 'upsampler');
  const upsampling = openUpsampling(rest, {data: config.data});
  const upsampler = {unet, schedule: makeSchedule(diffusion.schedule), prediction: diffusion.prediction, upsampling};
  const clips = await heldOutBatches(config);
  let [changed, error] = [0, 0];
  for (const [index, clip] of clips.entries()) {
    const condition = upsampling.heldOutCondition(clip, index, noiseLevel);
    const made = await upsampleClip(upsampler, condition, {mode, sampler, steps, seed: 0, index});
    const truth = clipPixels(clip);
    const figures = tf.tidy(() => [flicker(made, truth)!, tf.mean(tf.abs(tf.sub(made, truth)))]);
    const [a = 0, b = 0] = await Promise.all(figures.map(async figure => (await figure.data())[0]!));
    changed += a / clips.length;
    error += b / clips.length;
    tf.dispose([condition, made, truth, figures]);
  }
  unet.dispose();
  upsampling.dispose();
  return {flicker: changed, error};
}
