// Latents -> frames within a bound on memory: chunks of frames, blended where they overlap, each decoded whole where that
// fits and else on strips of rows with the same result.
import {type AutoencoderKL, latentsToRaw} from '../models/index.ts';
import * as tf from '../tf.ts';
import {type DecodePlan, planDecode} from './memory_plan.ts';
import {type RowMap, rowsOf, wholeMap} from './row_maps.ts';
import {type InSteps, onStrips, onWholeMaps, stripsOf, trimTo} from './step_runners.ts';

/** RGB uint8 [T,H,W,3]. */
export interface DecodedFrames {
  readonly data: Uint8Array;
  readonly shape: readonly [frames: number, height: number, width: number, channels: 3];
}

export interface DecodeOptions {
  readonly scaleFactor: number;
  /** Frames at a time; a temporal decoder sees no further. Default 8, fewer where `memory` asks for it. */
  readonly framesAtOnce?: number;
  /** Frames that two chunks share, mixed linearly. Default 2 for a temporal decoder, else 0. */
  readonly overlap?: number;
  /** Bytes that activations may take, on the engine and parked beside it. Default: no bound. */
  readonly memory?: number;
  /** Asks the engine to give back what it keeps of freed tensors where it holds more than `bytes` in all (Engine.giveBack). */
  readonly giveBack?: ((bytes: number) => void) | undefined;
  readonly onPlan?: (plan: DecodePlan) => void;
  /** Called after each chunk with the frames done. */
  readonly onFrames?: (done: number, count: number) => void;
  readonly signal?: AbortSignal;
}

/** RGB of latents [1,T,h,w,C] or [1,h,w,C]. @throws UserError where `memory` does not suffice, saying what would. */
export async function decodeVideo(
  autoencoder: AutoencoderKL,
  latents: tf.Tensor,
  options: DecodeOptions,
): Promise<DecodedFrames> {
  const [h = 0, w = 0, c = 0] = latents.shape.slice(-3);
  const count = latents.size / (h * w * c);
  const temporal = autoencoder.config.temporalDecoder !== undefined && latents.rank === 5;
  const {
    scaleFactor,
    framesAtOnce = 8,
    memory = Number.POSITIVE_INFINITY,
    giveBack,
    onPlan,
    onFrames,
    signal,
  } = options;
  const wanted = {frames: Math.min(framesAtOnce, count), height: h, width: w, temporal};
  const plan = planDecode(autoencoder, wanted, memory);
  onPlan?.(plan);
  const overlap = Math.min(options.overlap ?? (temporal ? 2 : 0), plan.frames - 1);
  const [height, width] = [h * autoencoder.factor, w * autoencoder.factor];
  const strips = plan.stripBytes === undefined ? undefined : stripsOf(plan.stripBytes);
  const trim = trimTo(giveBack, memory - plan.parkedBytes);
  const size = height * width * 3;
  const frames = new Uint8Array(count * size);
  const images: tf.Tensor4D = tf.reshape(latents, [count, h, w, c]);
  // Pixels of the chunk before, from the next one's first frame on.
  let shared = new Float32Array(0);
  const starts = chunkStarts(count, plan.frames, overlap);
  try {
    for (const [i, start] of starts.entries()) {
      signal?.throwIfAborted();
      const n = Math.min(count - start, plan.frames);
      const decoded = tf.tidy(() => {
        const some = latentsToRaw(tf.slice(images, [start, 0, 0, 0], [n, h, w, c]), scaleFactor);
        return decodeInSteps(autoencoder, some, {temporal, strips, trim});
      });
      const pixels = await decoded.data<'float32'>();
      decoded.dispose();
      mixIn(pixels, shared, size);
      writeBytes(frames, start * size, pixels);
      shared = pixels.slice(((starts[i + 1] ?? start + n) - start) * size);
      onFrames?.(start + n, count);
    }
  } finally {
    images.dispose();
  }
  return {data: frames, shape: [count, height, width, 3]};
}

/** First frames of chunks that cover `count` frames; the last is as long as the others. */
export function chunkStarts(count: number, chunk: number, overlap: number): number[] {
  if (count <= chunk) return [0];
  const stride = chunk - overlap;
  const chunks = Math.ceil((count - overlap) / stride);
  return Array.from({length: chunks}, (_, i) => Math.min(i * stride, count - chunk));
}

/**
 * `decode` of raw latents [N,h,w,C], one clip where `temporal`: the same numbers, up to rounding on strips, with one step's
 * maps alive at a time, and of those one strip where `strips` are given.
 */
export function decodeInSteps(
  autoencoder: AutoencoderKL,
  raw: tf.Tensor4D,
  {temporal, ...how}: InSteps & {readonly temporal: boolean},
): tf.Tensor4D {
  const steps = autoencoder.decodeSteps(temporal ? raw.shape[0] : undefined);
  const {strips} = how;
  if (!strips) {
    const run = onWholeMaps(how);
    return steps.reduce((map, step) => run(step, [map], true), tf.clone(raw));
  }
  const run = onStrips(strips, how);
  return wholeMap(steps.reduce<RowMap>((map, step) => run(step, [map], true), rowsOf(raw, strips.store)));
}

/** The first frames of `pixels` become a mix that goes from the chunk before, `shared`, over to this one. */
function mixIn(pixels: Float32Array, shared: Float32Array, size: number): void {
  const n = shared.length / size;
  for (let i = 0; i < shared.length; i++) {
    const weight = (Math.floor(i / size) + 1) / (n + 1);
    pixels[i] = shared[i]! * (1 - weight) + pixels[i]! * weight;
  }
}

function writeBytes(target: Uint8Array, at: number, pixels: Float32Array): void {
  for (let i = 0; i < pixels.length; i++)
    target[at + i] = Math.round(Math.min(255, Math.max(0, (pixels[i]! + 1) * 127.5)));
}
