// The parts of a pipeline as models on the engine.
import type {Sampling} from '../../src/config/pipeline.ts';
import {makeSchedule} from '../../src/diffusion/index.ts';
import {
  type AutoencoderConfig,
  AutoencoderKL,
  type ConditionEncoder,
  type Conditions,
  UNet,
  type UNetConfig,
} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import type {LatentDiffusion, UNetConditions, VideoUpsampler} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {buildConditionEncoder} from '../inputs/conditions.ts';
import {allocateExactly} from '../parents/frozen.ts';
import {clipFrames} from '../parents/networks.ts';
import type {HostModel} from '../parents/parts.ts';
import {
  conditionsOf,
  type HostDiffusion,
  type HostPart,
  type HostPipeline,
  needDiffusion,
  withSpatialOf,
} from './host_parts.ts';

/** A diffusion model with what it is conditioned on. */
export interface DiffusionPart {
  readonly model: LatentDiffusion;
  /** Frames it was trained on. */
  readonly clip: number;
  readonly isVideo: boolean;
  readonly conditions: ConditionEncoder | undefined;
  /** The text of the layers over time, where it is another one. */
  readonly temporalConditions: ConditionEncoder | undefined;
}

/** An upsampler's own model and what it is conditioned on. */
export interface UpsamplerPart extends DiffusionPart {
  readonly upsampler: VideoUpsampler;
}

export interface PipelineModels {
  readonly keyFrames: DiffusionPart;
  readonly prediction: DiffusionPart | undefined;
  readonly interpolation: DiffusionPart | undefined;
  readonly upsampler: UpsamplerPart | undefined;
  readonly autoencoder: AutoencoderKL;
  readonly scaleFactor: number;
  /** [height, width] that the key frame model was trained at. */
  readonly size: readonly [number, number];
  /** Of the key frames, as trained. */
  readonly fps: number;
  dispose(): void;
}

/** @param untrained a seed: the same networks with initial weights */
export function buildModels(host: HostPipeline, sampling: Sampling, untrained: number | undefined): PipelineModels {
  const keyHost = needDiffusion(host.keyFrames);
  const {window} = sampling;
  const parts: DiffusionPart[] = [];
  const part = (given: HostDiffusion, replaced?: HostModel<UNetConfig>, temporalText = textOverTime(given)) => {
    const made = diffusionPart(given, replaced, temporalText, window, untrained);
    parts.push(made);
    return made;
  };
  let keyFrames: DiffusionPart;
  if (host.spatial) {
    const image = needDiffusion(host.spatial);
    const {unet, ownText} = withSpatialOf(keyHost, image);
    const mixed = {...keyHost, conditions: image.conditions, text: image.text};
    keyFrames = part(mixed, unet, textOverTime(keyHost) ?? (ownText ? keyHost : undefined));
  } else keyFrames = part(keyHost);
  const decoderHost = host.decoder?.autoencoder ?? host.keyFrames.autoencoder;
  const {scaleFactor} = host.keyFrames;
  if (!decoderHost || scaleFactor === undefined)
    throw new UserError(
      `${host.keyFrames.path} has no autoencoder: a pipeline decodes with its key frame model's, or "decoder".`,
    );
  const autoencoder = autoencoderOf(decoderHost, untrained);
  const upsampler = host.upsampler && upsamplerPart(host.upsampler, part(needDiffusion(host.upsampler)), untrained);
  const data = host.keyFrames.config?.data;
  return {
    keyFrames,
    prediction: host.prediction && part(needDiffusion(host.prediction)),
    interpolation: host.interpolation && part(needDiffusion(host.interpolation)),
    upsampler,
    autoencoder,
    scaleFactor,
    size: data?.size ?? [64 * autoencoder.factor, 64 * autoencoder.factor],
    fps: data?.fps ?? 8,
    dispose() {
      for (const {model, conditions, temporalConditions} of parts) {
        model.unet.dispose();
        conditions?.dispose();
        temporalConditions?.dispose();
      }
      upsampler?.upsampler.latent?.autoencoder.dispose();
      autoencoder.dispose();
    },
  };
}

/** What tells a part's layers over time the text, where that is an encoder of their own. */
function textOverTime(host: HostPart): HostPart | undefined {
  const {temporalText} = host;
  return temporalText && {...host, conditions: undefined, text: temporalText};
}

function upsamplerPart(host: HostPart, part: DiffusionPart, untrained: number | undefined): UpsamplerPart {
  const {autoencoder, lowResolution, scaleFactor = autoencoder?.config.scaleFactor} = host;
  // An imported x4 upscaler says only how its input is noised.
  const upsampling = host.upsampling ?? (lowResolution && {factor: 4, maxNoiseLevel: 350, ...lowResolution});
  if (!upsampling)
    throw new UserError(
      `upsampler: ${host.path} does not say how its low-resolution frames are noised: train the stage upsampler from it.`,
    );
  const {factor, maxNoiseLevel, schedule} = upsampling;
  if (autoencoder && scaleFactor === undefined)
    throw new UserError(`upsampler: the scale of the latents of ${host.path} is not known.`);
  const latent = autoencoder && {
    autoencoder: autoencoderOf(autoencoder, untrained),
    scaleFactor: scaleFactor ?? 1,
  };
  return {...part, upsampler: {...part.model, factor, maxNoiseLevel, lowSchedule: makeSchedule(schedule), latent}};
}

function diffusionPart(
  host: HostDiffusion,
  replaced: HostModel<UNetConfig> | undefined,
  temporalText: HostPart | undefined,
  window: number | undefined,
  untrained: number | undefined,
): DiffusionPart {
  const {config: own, weights} = replaced ?? host.unet;
  const config = own.temporal && window !== undefined ? {...own, temporal: {...own.temporal, window}} : own;
  const unet = new UNet(config);
  unet.trainable = false;
  if (untrained === undefined) allocateExactly(unet, weights, 'model');
  else unet.allocate(untrained);
  unet.storeFrozen();
  const conditions = conditionsOf(host);
  const overTime = temporalText && conditionsOf(temporalText);
  return {
    model: {unet, schedule: makeSchedule(host.diffusion.schedule), prediction: host.diffusion.prediction},
    clip: clipOf(host),
    isVideo: config.temporal !== undefined,
    conditions: conditions && buildConditionEncoder(conditions),
    temporalConditions: overTime && buildConditionEncoder(overTime),
  };
}

/** Frames of the clips a model was trained on; of imported video models, Video LDM's eight. */
function clipOf({config, unet}: HostDiffusion): number {
  return config ? clipFrames(config) : unet.config.temporal ? 8 : 1;
}

function autoencoderOf({config, weights}: HostModel<AutoencoderConfig>, untrained: number | undefined): AutoencoderKL {
  const autoencoder = new AutoencoderKL(config);
  autoencoder.trainable = false;
  if (untrained === undefined) allocateExactly(autoencoder, weights, 'autoencoder');
  else autoencoder.allocate(untrained);
  return autoencoder.storeFrozen();
}

/**
 * What a part's UNet is told of the conditions that its models know, once with them and once without (negative prompt).
 * `level` is the interpolation model's. The caller disposes of both.
 */
export function encodeConditions(
  {conditions, temporalConditions}: DiffusionPart,
  sampling: Pick<Sampling, 'prompt' | 'negativePrompt' | 'labels' | 'boxes'>,
  {fps, level}: {fps: number; level?: 0 | 1},
): {conditions: UNetConditions; unconditional: UNetConditions | undefined} {
  const {prompt, negativePrompt, labels, boxes} = sampling;
  const encode = (encoder: ConditionEncoder, asked: Conditions) => {
    const {text, labels: hasLabels, boxes: hasBoxes, fps: hasFps} = encoder.config;
    return encoder.encode([
      {
        ...(text && asked.text !== undefined ? {text: asked.text} : {}),
        ...(hasLabels && asked.labels ? {labels: asked.labels} : {}),
        ...(hasBoxes && asked.boxes ? {boxes: asked.boxes} : {}),
        ...(hasFps && asked.fps !== undefined ? {fps: asked.fps} : {}),
      },
    ]);
  };
  const told = (asked: Conditions): UNetConditions => {
    const own = conditions ? encode(conditions, asked) : {};
    const overTime = temporalConditions ? encode(temporalConditions, asked) : {};
    if (own.addedNumbers && overTime.addedNumbers) overTime.addedNumbers.dispose();
    const numbers = own.addedNumbers ?? overTime.addedNumbers;
    return {
      ...own,
      ...(numbers ? {addedNumbers: numbers} : {}),
      ...(overTime.context ? {temporalContext: overTime.context} : {}),
      ...(level === undefined ? {} : {classLabels: tf.tensor1d([level], 'int32')}),
    };
  };
  return {
    conditions: told({text: prompt, labels, boxes, fps}),
    unconditional: conditions ? told({text: negativePrompt}) : undefined,
  };
}
