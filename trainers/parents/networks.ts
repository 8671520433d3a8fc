// What each stage's run is as networks: its configuration and its parent's parts together say what to build, in training
// and when the finished run is read.
import {diffusionSchema} from '../../src/config/common.ts';
import {temporalDecoderSchema} from '../../src/config/models.ts';
import {type StageConfig, stageSchemas} from '../../src/config/schema.ts';
import {upsamplingSchema} from '../../src/config/upsampling.ts';
import {makeSchedule, type ScheduleConfig} from '../../src/diffusion/index.ts';
import type {AutoencoderConfig, TemporalDecoderConfig, UNetConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {layersOverTime, refuseOtherFrames, withContextPath, withFrames} from './layers_over_time.ts';
import type {DiffusionSettings, Parts, UpsamplingSettings} from './parts.ts';
import {conditionedUNet} from './resolve_conditions.ts';

type Config<Stage extends StageConfig['stage']> = Extract<StageConfig, {stage: Stage}>;

/** The network whose weights a stage's checkpoints hold, and its configuration. */
export type TrainedNetwork =
  | {readonly name: 'autoencoder'; readonly config: AutoencoderConfig}
  | {readonly name: 'unet'; readonly config: UNetConfig};

/** @throws UserError where the configuration and the parent do not make one. */
export function trainedNetwork(config: StageConfig, parent: Parts): TrainedNetwork {
  switch (config.stage) {
    case 'autoencoder':
      return {name: 'autoencoder', config: newAutoencoder(config, parent)};
    case 'image':
      return {name: 'unet', config: imageUNet(config, parent)};
    case 'temporal':
      return {name: 'unet', config: temporalUNet(config, parent)};
    case 'decoder':
      return {name: 'autoencoder', config: videoAutoencoder(config, parent)};
    case 'prediction':
      return {name: 'unet', config: predictionUNet(config, parent)};
    case 'interpolation':
      return {name: 'unet', config: interpolationUNet(config, parent)};
    case 'upsampler-image':
      return {name: 'unet', config: upsamplerUNet(config, parent)};
    case 'upsampler':
      return {name: 'unet', config: videoUNet(config, parent)};
    default:
      return config satisfies never;
  }
}

/** How a stage's UNet is trained: as its parent's was, or as configured; undefined for a stage without one. */
export function diffusionFor(config: StageConfig, parent: Parts): DiffusionSettings | undefined {
  if (!('diffusion' in stageSchemas[config.stage].shape)) return undefined;
  return (
    (parent.unet && parent.diffusion) ?? (('diffusion' in config && config.diffusion) || diffusionSchema.parse({}))
  );
}

/** The autoencoder that is trained: the parent's, or a new one as configured. */
export function newAutoencoder(
  {autoencoder, from}: Pick<Config<'autoencoder'>, 'autoencoder' | 'from'>,
  parent: Parts,
): AutoencoderConfig {
  return ownOrParents<AutoencoderConfig>('autoencoder', autoencoder, parent.autoencoder?.config, from);
}

/** The parent's autoencoder with layers over time in its decoder; the control of an experiment goes without. */
export function videoAutoencoder(
  {temporal, overTime, from, data}: Pick<Config<'decoder'>, 'temporal' | 'overTime' | 'from' | 'data'>,
  parent: Parts,
): AutoencoderConfig {
  if (!parent.autoencoder) throw new Error("A video autoencoder grows out of its parent's, which was not taken.");
  const {config} = parent.autoencoder;
  if (overTime) {
    const parents = config.temporalDecoder;
    if (parents) refuseOtherFrames(parents.alpha, data.frames);
    const own = temporal ?? (parents ? undefined : temporalDecoderSchema.parse({}));
    const temporalDecoder = ownOrParents<TemporalDecoderConfig>(
      'temporal',
      own && withFrames(own, data.frames),
      parents,
      from,
    );
    return {...config, temporalDecoder};
  }
  if (temporal || config.temporalDecoder)
    throw new UserError(
      `overTime: false is a decoder without layers over time, but ${temporal ? '"temporal" describes some' : `${from} has some`}: leave it out, or start from an autoencoder run.`,
    );
  return config;
}

/**
 * An upsampler's UNet: it sees what it works on (latents where there is an autoencoder, else pixels) joined with the
 * low-resolution RGB, and the noise level of that as a class.
 */
export function upsamplerUNet(config: Config<'upsampler-image'>, parent: Parts): UNetConfig {
  const {unet, from} = config;
  const channels = parent.autoencoder?.config.latentChannels ?? RGB;
  const levels = upsamplingFor(config, parent).schedule.steps;
  const own = unet && {...unet, inChannels: channels + RGB, outChannels: channels, classEmbedding: levels};
  const network = ownOrParents<UNetConfig>('unet', own, parent.unet?.config, from);
  if (network.inChannels !== channels + RGB || network.classEmbedding === undefined)
    throw new UserError(
      `from: the UNet of ${from} is no upsampler's: it takes ${network.inChannels} channels ${network.classEmbedding === undefined ? 'and no noise level' : ''}, expected ${channels + RGB} and the noise level as a class.`,
    );
  return conditionedUNet(network, parent.conditions?.config);
}

const RGB = 3;

export function isUpsampler(config: StageConfig): config is Config<'upsampler-image' | 'upsampler'> {
  return config.stage === 'upsampler-image' || config.stage === 'upsampler';
}

/** What a run without a parent has instead: settings as configured. */
export function partsOfNone(config: StageConfig): Parts {
  return {diffusion: diffusionFor(config, {}), ...(isUpsampler(config) ? {upsampling: upsamplingFor(config, {})} : {})};
}

/** How the stage's upsampler sees the low-resolution video: as its parent's does, or as configured. */
export function upsamplingFor(config: Config<'upsampler-image' | 'upsampler'>, parent: Parts): UpsamplingSettings {
  const {upsampling: own, from} = config;
  const imported = parent.unet && parent.lowResolution;
  const parents =
    parent.upsampling ?? (imported && {...upsamplingSchema.parse({}), schedule: complete(imported.schedule)});
  if (!parents) return own ?? upsamplingSchema.parse({});
  if (own && JSON.stringify(sorted(own)) !== JSON.stringify(sorted(parents)))
    throw new UserError(
      `upsampling is ${JSON.stringify(own)}, but the upsampler of ${from} was trained with ${JSON.stringify(parents)}: a stage keeps its parent's; leave "upsampling" out.`,
    );
  return parents;
}

const complete = (schedule: ScheduleConfig) => makeSchedule(schedule).config;

function sorted({factor, maxNoiseLevel, schedule}: UpsamplingSettings): unknown[] {
  const {kind, betaStart, betaEnd, steps, zeroTerminalSnr} = schedule;
  return [factor, maxNoiseLevel, kind, betaStart, betaEnd, steps, zeroTerminalSnr];
}

/** The UNet of an image stage: the parent's, or a new one as configured. */
export function imageUNet({unet, from}: Pick<Config<'image'>, 'unet' | 'from'>, parent: Parts): UNetConfig {
  const config = ownOrParents<UNetConfig>('unet', unet, parent.unet?.config, from);
  const latentChannels = parent.autoencoder?.config.latentChannels;
  if (latentChannels !== undefined && latentChannels !== config.inChannels)
    throw new UserError(
      `unet.inChannels is ${config.inChannels}, but the autoencoder of ${from} has ${latentChannels} latent channels: make them equal.`,
    );
  return conditionedUNet(config, parent.conditions?.config);
}

/** The parent's UNet with its layers over time, or with new ones interleaved. */
export function videoUNet(
  {temporal, data, from}: Pick<Config<'temporal' | 'upsampler'>, 'temporal' | 'data' | 'from'>,
  parent: Parts,
): UNetConfig {
  if (!parent.unet) throw new Error("A video UNet grows out of its parent's, which was not taken.");
  const {config} = parent.unet;
  return {...config, temporal: layersOverTime(temporal, config.temporal, {from, frames: data.frames})};
}

/** The same; or a new one, all of which then trains. */
export function temporalUNet(
  {temporal, data, trains, ...image}: Pick<Config<'temporal'>, 'temporal' | 'data' | 'trains' | 'unet' | 'from'>,
  parent: Parts,
): UNetConfig {
  if (!parent.unet && trains !== 'all') {
    throw new UserError(
      `from: the stage "temporal" grows out of an image model or goes on from a video model, and ${image.from} has none: set "from" to a run of stage "image" or "temporal", or give "unet" and trains: all for a video model without image pre-training.`,
    );
  }
  const unet = imageUNet(image, parent);
  const over = layersOverTime(temporal, unet.temporal, {from: image.from, frames: data.frames});
  // The spatial layers of a parent are frozen, and stay the image model that they are.
  const numbers = parent.unet && !parent.unet.config.addedNumbers ? unet.addedNumbers : undefined;
  return {...unet, temporal: over, ...(numbers ? {addedNumbers: {...numbers, to: 'temporal'}} : {})};
}

/** The parent's video UNet with the path of given frames. */
export function predictionUNet({context, data, from}: Config<'prediction'>, {unet}: Parts): UNetConfig {
  const classes = unet?.config.classEmbedding;
  if (classes !== undefined)
    throw new UserError(
      `The UNet of ${from} is told one of ${classes} classes (an interpolation model: of its levels), and this stage has none to tell it: set "from" to a video model or a prediction model.`,
    );
  return withContextPath(unet?.config, context.channels, {from, frames: data.frames});
}

/** The same, told by a class which of the two frame rates it is asked for: 0 is the lower. */
export function interpolationUNet(config: Config<'interpolation'>, parent: Parts): UNetConfig {
  const {context, from} = config;
  const unet = withContextPath(parent.unet?.config, context.channels, {from, frames: interpolatedFrames(config)});
  if (unet.classEmbedding !== undefined && unet.classEmbedding !== INTERPOLATION_LEVELS)
    throw new UserError(
      `The parent's UNet has ${unet.classEmbedding} classes of its own: it cannot be told of levels.`,
    );
  return {...unet, classEmbedding: INTERPOLATION_LEVELS};
}

export const INTERPOLATION_LEVELS = 2;

/** Frames of a clip of the interpolation model: data.frames seen at a quarter of their rate. */
export function interpolatedFrames({data}: Pick<Config<'interpolation'>, 'data'>): number {
  return (data.frames - 1) / 4 + 1;
}

/** Frames of a clip as the stage's model takes it. */
export function clipFrames(config: StageConfig): number {
  return config.stage === 'interpolation' ? interpolatedFrames(config) : config.data.frames;
}

/** A network is described once: by the parent that brings its weights, or by the configuration. */
function ownOrParents<C extends object>(
  field: string,
  own: C | undefined,
  parents: C | undefined,
  from: string | undefined,
): C {
  if (own && parents)
    throw new UserError(
      `"${field}" is given, but ${from} brings this network with its weights: leave "${field}" out, or start from something that has none.`,
    );
  const config = own ?? parents;
  if (!config)
    throw new UserError(
      `"${field}" is missing and ${from ?? 'a run without "from"'} brings none: describe the network.`,
    );
  return config;
}
