// The runs that a pipeline names, read and checked against each other before an engine is opened: each must be of a stage
// that can do the part, and all must share one space of latents.
import type {PipelineParts, Sampling} from '../../src/config/pipeline.ts';
import {type ConditionsConfig, conditionNames, UNet, type UNetConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {type LoadedModels, loadModelFolder, namesModelFolder} from '../parents/load_models.ts';
import {type LoadedRun, loadRun} from '../parents/load_run.ts';
import type {HostConditions, HostModel, Parts} from '../parents/parts.ts';
import {ofText} from '../parents/resolve_conditions.ts';

export type PartName = keyof PipelineParts;

/** Stages whose runs may take a part; imported models are judged by what they hold. */
const stagesOf = {
  keyFrames: ['image', 'temporal', 'prediction'],
  spatial: ['image'],
  prediction: ['prediction'],
  interpolation: ['interpolation'],
  decoder: ['autoencoder', 'decoder'],
  upsampler: ['upsampler-image', 'upsampler'],
} as const satisfies Record<PartName, readonly string[]>;

/** How messages call a part. */
const labels = {
  keyFrames: 'key frames',
  spatial: 'spatial layers',
  prediction: 'prediction',
  interpolation: 'interpolation',
  decoder: 'decoder',
  upsampler: 'upsampler',
} as const satisfies Record<PartName, string>;

/** A part read from disk; `config` is absent for imported models. */
export type HostPart = LoadedModels & Partial<Pick<LoadedRun, 'config'>>;
export type HostPipeline = {readonly keyFrames: HostPart} & {readonly [Name in PartName]?: HostPart | undefined};
export type HostDiffusion = HostPart & Required<Pick<Parts, 'unet' | 'diffusion'>>;

/** Reads every part. @throws UserError naming the part that is not there, of another stage, or does not fit the others. */
export async function readParts(parts: PipelineParts, weights: 'ema' | 'raw'): Promise<HostPipeline> {
  const read = async (name: PartName): Promise<HostPart | undefined> => {
    const where = parts[name];
    if (where === undefined) return undefined;
    const part = namesModelFolder(where) ? await loadModelFolder(where) : await loadRun(where, weights);
    refuseOtherStage(name, part, where);
    return part;
  };
  const keyFrames = await read('keyFrames');
  if (!keyFrames) throw new UserError('A pipeline needs "keyFrames": the run that makes its first frames.');
  const others = {
    spatial: await read('spatial'),
    prediction: await read('prediction'),
    interpolation: await read('interpolation'),
    decoder: await read('decoder'),
    upsampler: await read('upsampler'),
  };
  const pipeline = {keyFrames, ...others};
  refuseOtherLatents(pipeline);
  return pipeline;
}

/** A part with its diffusion model. */
export function needDiffusion(part: HostPart): HostDiffusion {
  const {unet, diffusion} = part;
  if (!unet || !diffusion)
    throw new UserError(`${part.path} has no diffusion model: name a run that trained one, or an imported UNet.`);
  return {...part, unet, diffusion};
}

/** What a part's model is conditioned on; an imported text encoder is a condition too. */
export function conditionsOf({conditions, text, unet}: Parts): HostConditions | undefined {
  if (conditions) return conditions;
  return text && unet?.config.crossAttentionDim !== undefined ? ofText(text) : undefined;
}

function refuseOtherStage(name: PartName, part: HostPart, where: string): void {
  const stages: readonly string[] = stagesOf[name];
  const expected = stages.join(' or ');
  if (part.stage !== 'imported' && !stages.includes(part.stage)) {
    if (name === 'keyFrames' && (part.stage === 'autoencoder' || part.stage === 'decoder'))
      throw new UserError(`${where} is an autoencoder: sample from a run of stage image or temporal.`);
    throw new UserError(`${labels[name]}: ${where} is of stage "${part.stage}", expected a run of stage ${expected}.`);
  }
  if (name === 'decoder' ? !part.autoencoder : !part.unet)
    throw new UserError(
      `${labels[name]}: ${where} has no ${name === 'decoder' ? 'autoencoder' : 'UNet'}: expected a run of stage ${expected}.`,
    );
  if ((name === 'prediction' || name === 'interpolation') && !part.unet?.config.temporal?.given)
    throw new UserError(`${labels[name]}: the UNet of ${where} takes no given frames: train the stage ${name} first.`);
}

function refuseOtherLatents({keyFrames, prediction, interpolation, decoder}: HostPipeline): void {
  for (const [name, part] of Object.entries({prediction, interpolation, decoder})) {
    if (!part) continue;
    const [own, other] = [keyFrames.autoencoder?.config, part.autoencoder?.config];
    const fields = ['latentChannels', 'channels'] as const;
    for (const field of fields) {
      const [a, b] = [own?.[field], other?.[field]].map(value =>
        JSON.stringify(field === 'channels' ? (value as number[])?.length : value),
      );
      if (own && other && a !== b)
        throw new UserError(
          `${name}: ${part.path} has an autoencoder of ${b} ${field === 'channels' ? 'levels' : 'latent channels'}, but the key frames' of ${keyFrames.path} has ${a}: the parts must share their latents.`,
        );
    }
    if (name !== 'decoder' && part.scaleFactor !== undefined && part.scaleFactor !== keyFrames.scaleFactor)
      throw new UserError(
        `${name}: the latents of ${part.path} are scaled by ${part.scaleFactor}, those of ${keyFrames.path} by ${keyFrames.scaleFactor}: the parts must share one autoencoder.`,
      );
  }
}

/**
 * The key frame model with the spatial layers of another UNet (personalisation): its temporal layers keep the text they were
 * trained with, so two texts go in where the text encoders differ. @throws UserError naming what does not fit.
 */
export function withSpatialOf(
  video: HostDiffusion,
  image: HostDiffusion,
): {unet: HostModel<UNetConfig>; ownText: boolean} {
  const {temporal, ...own} = video.unet.config;
  const {temporal: _, ...other} = image.unet.config;
  if (!temporal)
    throw new UserError(
      `keyFrames: ${video.path} has no layers over time to put on the spatial layers of ${image.path}.`,
    );
  // Numbers that the layers over time alone are told go with them.
  const ofLayersOverTime = own.addedNumbers?.to === 'temporal' && !other.addedNumbers;
  const names = [...new Set([...Object.keys(own), ...Object.keys(other)])] as (keyof typeof own)[];
  for (const field of names) {
    if (field === 'crossAttentionDim' || (field === 'addedNumbers' && ofLayersOverTime)) continue;
    const [a, b] = [JSON.stringify(own[field]), JSON.stringify(other[field])];
    if (a !== b)
      throw new UserError(
        `spatial: unet.${field} of ${image.path} is ${b ?? 'absent'}, but ${a ?? 'absent'} in ${video.path}, whose layers over time were trained for it.`,
      );
  }
  const ownDim = temporal.contextDim ?? own.crossAttentionDim;
  if ((ownDim === undefined) !== (other.crossAttentionDim === undefined))
    throw new UserError(
      `spatial: ${image.path} ${other.crossAttentionDim === undefined ? 'attends to no text' : 'attends to a text'}, but the layers over time of ${video.path} ${ownDim === undefined ? 'do not' : 'do'}.`,
    );
  for (const field of ['prediction'] as const) {
    if (video.diffusion[field] !== image.diffusion[field])
      throw new UserError(
        `spatial: ${image.path} predicts ${image.diffusion[field]}, but the layers over time of ${video.path} were trained with ${video.diffusion[field]}.`,
      );
  }
  const config = {
    ...other,
    ...(ofLayersOverTime ? {addedNumbers: own.addedNumbers} : {}),
    temporal: {...temporal, ...(ownDim === undefined ? {} : {contextDim: ownDim})},
  };
  const specs = new UNet(config).weightSpecs();
  const temporalPaths = new Set(specs.flatMap(({part, path}) => (part === 'temporal' ? [path] : [])));
  const spatial = [...image.unet.weights].filter(([path]) => !temporalPaths.has(path));
  const over = [...video.unet.weights].filter(([path]) => temporalPaths.has(path));
  const texts = [conditionsOf(image), conditionsOf(video)];
  return {
    unet: {config, weights: new Map([...spatial, ...over])},
    ownText: !sameConditions(texts[0], texts[1]),
  };
}

function sameConditions(a: HostConditions | undefined, b: HostConditions | undefined): boolean {
  if (!a || !b) return a === b;
  if (JSON.stringify(a.config) !== JSON.stringify(b.config) || a.weights.size !== b.weights.size) return false;
  return [...a.weights].every(([path, {data}]) => {
    const other = b.weights.get(path)?.data;
    return other !== undefined && other.length === data.length && other.every((value, i) => value === data[i]);
  });
}

/** Refuses what no model of the pipeline knows: a condition that would have no effect is a mistake. */
export function refuseUselessConditions(sampling: Sampling, configs: readonly (ConditionsConfig | undefined)[]): void {
  const given = {text: sampling.prompt ?? sampling.negativePrompt, labels: sampling.labels, boxes: sampling.boxes};
  const flags = {text: 'a prompt', labels: 'labels', boxes: 'boxes'} as const;
  const known = conditionNames.filter(name => configs.some(config => config?.[name]));
  for (const name of ['text', 'labels', 'boxes'] as const) {
    if (given[name] === undefined || known.includes(name)) continue;
    const list = known.length > 0 ? `it knows ${known.join(', ')}` : 'it is unconditional';
    throw new UserError(`No model of this pipeline was trained with ${flags[name]}: ${list}.`);
  }
}
