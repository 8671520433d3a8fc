// Frames -> frames `factor` times as large, by a diffusion model told of the noised low-resolution frames (Video LDM,
// "Temporal Fine-tuning of Super-Resolution Models"): in chunks of the frames it was trained on, all denoised together, the
// predictions mixed where chunks overlap, each chunk on strips of rows where the bound on memory asks for it.
import {enlarge, lowResolutionCondition, noiseTensor, type SamplerName, samplerSteps} from '../diffusion/index.ts';
import {framesToPixels, pixelsToFrames, type UNet, type UNetInputs} from '../models/index.ts';
import * as tf from '../tf.ts';
import {chunkStarts, type DecodedFrames, decodeVideo} from './decode_video.ts';
import {type Guidance, guidedDenoise, type UNetConditions} from './guided_denoise.ts';
import {planUpsample, type UpsamplePlan} from './plan_upsample.ts';
import {sampleInChunks} from './sample_in_chunks.ts';
import {windowNoise} from './sampling_noise.ts';
import {type InSteps, stripsOf, trimTo} from './step_runners.ts';
import {unetInSteps} from './unet_in_steps.ts';
import {type VideoUpsampler, workingSize} from './video_upsampler.ts';

export interface UpsampleOptions {
  readonly sampler: SamplerName;
  readonly steps: number;
  readonly seed: number;
  readonly index: number;
  /** Default: 20, as the x4 upscaler is run. */
  readonly noiseLevel?: number;
  readonly guidance?: Omit<Guidance, 'given' | 'contextScale'>;
  /** Default 8. A model without layers over time takes fewer where `memory` asks for it. */
  readonly framesAtOnce?: number;
  /** Frames that two chunks share. Default 2 for a model with layers over time, else 0. */
  readonly overlap?: number;
  /** Bytes that enlarging may take, the state of all frames included, on the engine and parked beside it. Default: no bound. */
  readonly memory?: number;
  /** As of `decodeVideo`. */
  readonly giveBack?: ((bytes: number) => void) | undefined;
  readonly onPlan?: (plan: UpsamplePlan) => void;
  readonly onStep?: () => void;
  readonly signal?: AbortSignal;
}

/** RGB [T,h,w,3] -> [T,h x factor,w x factor,3]. @throws UserError where `memory` does not suffice, saying what would. */
export async function upsampleVideo(
  upsampler: VideoUpsampler,
  video: DecodedFrames,
  options: UpsampleOptions,
): Promise<DecodedFrames> {
  const {unet, schedule, prediction, factor, latent} = upsampler;
  const {sampler, steps, seed, index, guidance, memory = Number.POSITIVE_INFINITY, onStep, signal} = options;
  const [count, h, w] = video.shape;
  const size = workingSize(upsampler, [h, w]);
  const guided = guidance?.unconditional !== undefined && (guidance.scale ?? 1) !== 1;
  const {framesAtOnce} = options;
  const wanted = {frames: count, height: h, width: w, sampler, guided, framesAtOnce};
  const plan = planUpsample(upsampler, wanted, memory);
  options.onPlan?.(plan);
  const chunk = plan.frames;
  const overlap = Math.min(options.overlap ?? (unet.config.temporal ? 2 : 0), chunk - 1);
  const strips = plan.stripBytes === undefined ? undefined : stripsOf(plan.stripBytes);
  const how = {strips, trim: trimTo(options.giveBack, memory - plan.parkedBytes)};
  const level = Math.min(options.noiseLevel ?? 20, upsampler.maxNoiseLevel);
  const each = Array.from({length: count}, (_, t) => t);
  const low = each.map(t => noisedFrame(upsampler, video, t, {seed, index, level}));
  const frame = [...size, unet.config.outChannels];
  const numbers = frame.reduce((product, extent) => product * extent, 1);
  const place = {seed, index, part: 'upsampler', window: 0} as const;
  let made: tf.Tensor5D[] = [];
  try {
    made = sampleInChunks(
      each.map(t => windowNoise(place, [1, ...frame], t * numbers) as tf.Tensor5D),
      {
        steps: samplerSteps[sampler](schedule, prediction, steps),
        starts: chunkStarts(count, chunk, overlap),
        chunk,
        join: (noisy, start) => tf.concat([noisy, enlarge(tf.concat(low.slice(start, start + chunk), 1), size)], -1),
        predict: (joined, timesteps) => predict(unet, joined, timesteps, level, guidance, how),
        onStep,
        signal,
      },
    );
    tf.dispose(low);
    if (!latent) return {data: await bytesOf(made), shape: [count, h * factor, w * factor, 3]};
    const latents = tf.concat(made, 1);
    tf.dispose(made);
    made = [latents];
    const {autoencoder, scaleFactor} = latent;
    return await decodeVideo(autoencoder, latents, {
      scaleFactor,
      memory: memory - plan.stateBytes,
      framesAtOnce: chunk,
      giveBack: options.giveBack,
      ...(signal ? {signal} : {}),
    });
  } finally {
    tf.dispose([...low, ...made]);
  }
}

/** Low-resolution frame t with its noise, [1,1,h,w,3]. Noise of a frame is its own, chunks or not. */
function noisedFrame(
  {lowSchedule}: VideoUpsampler,
  {data, shape: [, h, w]}: DecodedFrames,
  t: number,
  {seed, index, level}: {seed: number; index: number; level: number},
): tf.Tensor5D {
  const size = h * w * 3;
  return tf.tidy(() => {
    const low = framesToPixels(data.subarray(t * size, (t + 1) * size), [1, 1, h, w, 3]) as tf.Tensor5D;
    const noise = noiseTensor({seed, stream: 'noiseAugment', step: index, offset: t * size}, low.shape);
    return lowResolutionCondition(low, {noise, levels: tf.tensor1d([level], 'int32'), schedule: lowSchedule}, [h, w]);
  });
}

/** One chunk's prediction from its states joined with its low-resolution frames, whole or on strips. */
function predict(
  unet: UNet,
  joined: tf.Tensor5D,
  timesteps: tf.Tensor1D,
  level: number,
  guidance: Omit<Guidance, 'given' | 'contextScale'> = {},
  how: InSteps,
): tf.Tensor {
  const told = (conditions: UNetConditions): UNetConditions => ({
    ...conditions,
    classLabels: tf.tensor1d([level], 'int32'),
  });
  const own: Guidance = {
    ...guidance,
    conditions: told(guidance.conditions ?? {}),
    ...(guidance.unconditional ? {unconditional: told(guidance.unconditional)} : {}),
  };
  const mode = unet.config.temporal ? 'video' : 'image';
  const model = {forward: (inputs: UNetInputs) => unetInSteps(unet, inputs as UNetInputs<tf.Tensor5D>, how)};
  return guidedDenoise(model as Pick<UNet, 'forward'>, mode, own)(joined, timesteps);
}

/** RGB of frames [1,1,H,W,3], each disposed of as it is read. */
async function bytesOf(frames: readonly tf.Tensor5D[]): Promise<Uint8Array> {
  const size = frames[0]?.size ?? 0;
  const data = new Uint8Array(frames.length * size);
  for (const [t, pixels] of frames.entries()) {
    const bytes = tf.tidy(() => pixelsToFrames(pixels));
    data.set(await bytes.data(), t * size);
    tf.dispose([bytes, pixels]);
  }
  return data;
}
