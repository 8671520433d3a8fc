// One video through the whole pipeline: key frames (or a given image), prediction, interpolation, decoder. A function of the
// models, the settings and (seed, index) alone.
import type {Sampling} from '../../src/config/pipeline.ts';
import {framesToPixels, rawToLatents} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {
  type DecodedFrames,
  type DecodePlan,
  decodeVideo,
  INTERPOLATION,
  interpolatedLength,
  interpolateFrames,
  interpolationWindows,
  planDecode,
  planUpsample,
  predictFrames,
  predictionWindows,
  sampleLatents,
  upsampleVideo,
} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {type DiffusionPart, encodeConditions, type PipelineModels} from './build_models.ts';

export interface VideoPlan {
  /** Of the key frame model; undefined: a still image, or a given one. */
  readonly keyFrames: number | undefined;
  /** After prediction. */
  readonly predicted: number;
  /** In the end. */
  readonly frames: number;
  readonly levels: number;
  readonly latentSize: readonly [number, number];
  /** Of the key frames, and of the file. */
  readonly keyFps: number;
  readonly fps: number;
  /** Whether the result is an image. */
  readonly still: boolean;
}

/** How many frames each part makes. @throws UserError for what the pipeline's parts cannot do. */
export function planVideo(models: PipelineModels, sampling: Sampling): VideoPlan {
  const {keyFrames, prediction, interpolation, autoencoder} = models;
  const first = sampling.image !== undefined || !keyFrames.isVideo ? 1 : keyFrames.clip;
  if (sampling.image !== undefined && !prediction)
    throw new UserError('A video that begins with an image needs a prediction model: name one as "prediction".');
  const predicted = sampling.frames ?? (prediction ? Math.max(first, prediction.clip) : first);
  // Without a prediction model a video model itself makes other lengths than trained.
  const stretched = !prediction && keyFrames.isVideo;
  if (!prediction && !keyFrames.isVideo && predicted > 1)
    throw new UserError(
      `--frames ${predicted} needs a video model: the key frames come from an image model, and there is no "prediction" to go on from them.`,
    );
  const alpha = keyFrames.model.unet.config.temporal?.alpha;
  if (stretched && alpha?.per === 'frame' && predicted !== keyFrames.clip)
    throw new UserError(
      `--frames ${predicted}: this model learned one alpha for each of its ${keyFrames.clip} frames and makes no other number.`,
    );
  refuseSteps(models, sampling);
  const levels = sampling.interpolate ?? (interpolation ? 2 : 0);
  if (levels > 0 && !interpolation)
    throw new UserError(`--interpolate ${levels} needs an interpolation model: name one as "interpolation".`);
  if (levels > 0 && predicted < 2)
    throw new UserError('Interpolation needs two key frames or more: ask for more --frames.');
  if (prediction) refuseWindows('the prediction model', predictionWindows(first, predicted, prediction.clip));
  let frames = predicted;
  for (let i = 0; interpolation && i < levels; i++) {
    refuseWindows('the interpolation model', interpolationWindows(frames, interpolation.clip).length);
    frames = interpolatedLength(frames);
  }
  const [height, width] = sampling.size ?? models.size;
  const {factor} = autoencoder;
  if (height % factor !== 0 || width % factor !== 0)
    throw new UserError(
      `--size ${height} ${width}: both must be multiples of ${factor}, by which the autoencoder reduces frames.`,
    );
  // Refused now, not after the latents were sampled.
  const clip = {frames: Math.min(sampling.decodeFrames, frames), height: height / factor, width: width / factor};
  const temporal = autoencoder.config.temporalDecoder !== undefined;
  planDecode(autoencoder, {...clip, temporal}, sampling.memory * 2 ** 20);
  refuseLarge(models, sampling, [height, width], frames);
  const keyFps = sampling.fps ?? models.fps;
  const fps = keyFps * INTERPOLATION ** levels;
  if (fps > 1000)
    throw new UserError(`The video would have ${fps} frames per second after interpolation: give a smaller --fps.`);
  const made = keyFrames.isVideo && sampling.image === undefined;
  return {
    keyFrames: made ? (stretched ? predicted : Math.min(first, predicted)) : undefined,
    predicted,
    frames,
    levels,
    latentSize: [height / factor, width / factor],
    keyFps,
    fps,
    still: frames === 1 && !keyFrames.isVideo,
  };
}

/** Windows of one part; beyond them its noise would be drawn twice. */
const MOST_WINDOWS = 512;

function refuseWindows(part: string, windows: number): void {
  if (windows > MOST_WINDOWS)
    throw new UserError(
      `--frames: ${part} would be asked ${windows} times for one video, at most ${MOST_WINDOWS} are made: ask for fewer.`,
    );
}

/** What the upsampler cannot work on. */
function refuseLarge(
  {upsampler}: PipelineModels,
  sampling: Sampling,
  [height, width]: readonly [number, number],
  frames: number,
): void {
  if (!upsampler) {
    if (sampling.noiseLevel !== undefined || sampling.upsampleSteps !== undefined)
      throw new UserError('--noise-level and --upsample-steps need an upsampler: name one as "upsampler".');
    return;
  }
  const {factor, latent, maxNoiseLevel, schedule, unet} = upsampler.upsampler;
  const {noiseLevel, steps} = sampling;
  if (noiseLevel !== undefined && noiseLevel > maxNoiseLevel)
    throw new UserError(`--noise-level ${noiseLevel}: this upsampler was trained with levels up to ${maxNoiseLevel}.`);
  const asked = sampling.upsampleSteps ?? steps;
  if (asked > schedule.config.steps)
    throw new UserError(`--upsample-steps ${asked}: the upsampler was trained with ${schedule.config.steps} steps.`);
  const ratio = latent?.autoencoder.factor ?? 1;
  const least = 2 ** (unet.config.channels.length - 1);
  const size = [height, width].map(side => (side * factor) / ratio);
  if (size.some(side => side % least !== 0))
    throw new UserError(
      `--size ${height} ${width}: enlarged ${factor} times it does not divide by ${least * ratio}, as the upsampler needs.`,
    );
  const guided = guidanceScale(sampling) !== 1;
  const wanted = {frames, height, width, framesAtOnce: sampling.upsampleFrames, sampler: sampling.sampler, guided};
  planUpsample(upsampler.upsampler, wanted, sampling.memory * 2 ** 20);
}

/** Of classifier-free guidance. */
function guidanceScale({guidance, prompt}: Sampling): number {
  return guidance ?? (prompt === undefined ? 1 : 7.5);
}

function refuseSteps({keyFrames, prediction, interpolation}: PipelineModels, {steps}: Sampling): void {
  for (const part of [keyFrames, prediction, interpolation]) {
    const trained = part?.model.schedule.config.steps ?? steps;
    if (steps > trained)
      throw new UserError(`--steps ${steps}: a model of this pipeline was trained with ${trained} steps.`);
  }
}

export interface MakeOptions {
  readonly seed: number;
  readonly index: number;
  /** RGB uint8 [H,W,3] of the plan's size, to begin with. */
  readonly image: Uint8Array | undefined;
  /** Called as work is done: the part, and the share of the video's work that is behind, 0 to 1. */
  readonly onProgress: (part: string, share: number) => void;
  readonly onPlan?: (plan: DecodePlan) => void;
  /** The engine's. */
  readonly giveBack?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** @throws the signal's reason where it aborts; nothing is left behind then. */
export async function makeVideo(
  models: PipelineModels,
  sampling: Sampling,
  plan: VideoPlan,
  options: MakeOptions,
): Promise<DecodedFrames> {
  const {seed, index, onProgress, onPlan, giveBack, signal} = options;
  const work = progressOf(models, sampling, plan, onProgress);
  const {sampler, steps, contextGuidance} = sampling;
  const common = {sampler, steps, seed, index, ...(signal ? {signal} : {})};
  const guided = async <T>(
    part: DiffusionPart,
    told: {fps: number; level?: 0 | 1},
    run: (guidance: object) => Promise<T>,
  ): Promise<T> => {
    const {conditions, unconditional} = encodeConditions(part, sampling, told);
    const scale = guidanceScale(sampling);
    try {
      const guidance = {conditions, ...(unconditional ? {unconditional} : {}), scale: unconditional ? scale : 1};
      return await run({...guidance, contextScale: contextGuidance});
    } finally {
      tf.dispose([conditions, unconditional] as tf.TensorContainer);
    }
  };
  let latents = await firstLatents();
  const replace = (next: tf.Tensor5D) => {
    latents.dispose();
    latents = next;
  };
  try {
    const {prediction, interpolation} = models;
    if (prediction && latents.shape[1] < plan.predicted) {
      const {clip, model} = prediction;
      replace(
        await guided(prediction, {fps: plan.keyFps}, guidance =>
          predictFrames(model, latents, {
            ...common,
            guidance,
            frames: plan.predicted,
            clip,
            onStep: work.step('prediction', clip),
          }),
        ),
      );
    }
    for (let i = 0; interpolation && i < plan.levels; i++) {
      const level = i as 0 | 1;
      const fps = plan.keyFps * INTERPOLATION ** (i + 1);
      const {clip, model} = interpolation;
      const onStep = work.step('interpolation', clip);
      replace(
        await guided(interpolation, {fps, level}, guidance =>
          interpolateFrames(model, latents, {...common, guidance, clip, level, onStep}),
        ),
      );
    }
    const decoded = await decodeVideo(models.autoencoder, latents, {
      scaleFactor: models.scaleFactor,
      framesAtOnce: sampling.decodeFrames,
      memory: sampling.memory * 2 ** 20,
      giveBack,
      onFrames: work.decoded,
      ...(onPlan ? {onPlan} : {}),
      ...(signal ? {signal} : {}),
    });
    const {upsampler} = models;
    if (!upsampler) return decoded;
    const {noiseLevel, upsampleFrames: framesAtOnce} = sampling;
    return await guided(upsampler, {fps: plan.fps}, guidance =>
      upsampleVideo(upsampler.upsampler, decoded, {
        ...common,
        guidance,
        steps: sampling.upsampleSteps ?? steps,
        framesAtOnce,
        memory: sampling.memory * 2 ** 20,
        giveBack,
        onStep: work.step('upsampling', plan.frames),
        ...(noiseLevel === undefined ? {} : {noiseLevel}),
      }),
    );
  } finally {
    latents.dispose();
  }

  /** [1,T,h,w,C]: the start image, one sampled image, or the key frames. */
  async function firstLatents(): Promise<tf.Tensor5D> {
    const {image} = options;
    const [h, w] = plan.latentSize;
    const {factor} = models.autoencoder;
    if (image)
      return tf.tidy(() => {
        const pixels = framesToPixels(image, [1, h * factor, w * factor, 3]) as tf.Tensor4D;
        return tf.expandDims(
          rawToLatents(models.autoencoder.encode(pixels).mean, models.scaleFactor),
          1,
        ) as tf.Tensor5D;
      });
    const frames = plan.keyFrames;
    const onStep = work.step('key frames', frames ?? 1);
    const sampled = await guided(models.keyFrames, {fps: plan.keyFps}, guidance =>
      sampleLatents(models.keyFrames.model, {...common, guidance, frames, latentSize: plan.latentSize, onStep}),
    );
    if (frames !== undefined) return sampled as tf.Tensor5D;
    const clip = tf.expandDims(sampled, 1) as tf.Tensor5D;
    sampled.dispose();
    return clip;
  }
}

/** What a frame costs at a step, or to decode: places times the square of the channels at full size, up to a factor. */
function costs({keyFrames, upsampler, autoencoder}: PipelineModels, {latentSize: [h, w]}: VideoPlan) {
  const [latent, pixels] = [h * w, h * w * autoencoder.factor ** 2];
  const {factor = 1, latent: own} = upsampler?.upsampler ?? {};
  const enlarged = (pixels * factor ** 2) / (own?.autoencoder.factor ?? 1) ** 2;
  const square = (model: {readonly config: {readonly channels: readonly number[]}} | undefined) =>
    (model?.config.channels[0] ?? 0) ** 2;
  return {
    step: latent * square(keyFrames.model.unet),
    decode: pixels * square(autoencoder),
    upsample: enlarged * square(upsampler?.model.unet),
  };
}

/** Shares of the work: frames times steps, each at its cost. */
function progressOf(
  models: PipelineModels,
  {steps, upsampleSteps, image}: Sampling,
  plan: VideoPlan,
  report: (part: string, share: number) => void,
) {
  const {prediction, interpolation, upsampler} = models;
  const cost = costs(models, plan);
  const known = plan.keyFrames ?? 1;
  let evaluated = image === undefined ? known : 0;
  if (prediction && plan.predicted > known)
    evaluated += predictionWindows(known, plan.predicted, prediction.clip) * prediction.clip;
  let keys = plan.predicted;
  for (let i = 0; interpolation && i < plan.levels; i++) {
    evaluated += interpolationWindows(keys, interpolation.clip).length * interpolation.clip;
    keys = interpolatedLength(keys);
  }
  const enlarged = upsampler ? plan.frames * (upsampleSteps ?? steps) : 0;
  const total = evaluated * steps * cost.step + plan.frames * cost.decode + enlarged * cost.upsample;
  let done = 0;
  let decoded = 0;
  return {
    step: (part: string, frames: number) => () => {
      done += frames * (part === 'upsampling' ? cost.upsample : cost.step);
      report(part, Math.min(1, done / total));
    },
    decoded: (frames: number) => {
      done += (frames - decoded) * cost.decode;
      decoded = frames;
      report('decoding', Math.min(1, done / total));
    },
  };
}
