// How much memory decoding takes, stated before it begins: from the sizes of the maps between the decoder's steps. What the
// engine holds besides one step's input and output (normalised copies, a convolution's scratch) is counted as whole copies
// of the larger of the two; COPIES was measured (docs/sampling.md).
import type {StripStep} from '../layers/strips.ts';
import type {AutoencoderKL, UNet} from '../models/index.ts';
import {UserError} from '../platform/user_error.ts';

export interface DecodePlan {
  /** At a time. */
  readonly frames: number;
  /** Bytes of one strip, input or output, whichever is larger; undefined: frames are decoded whole. */
  readonly stripBytes: number | undefined;
  /** Most bytes of activations on the engine. */
  readonly engineBytes: number;
  /** Most bytes of maps parked in host memory beside it; 0 where frames are decoded whole. */
  readonly parkedBytes: number;
}

type Shape = readonly [number, number, number, number];

/** Maps as large as a step's larger side that live at once inside it, unless it says more. */
const COPIES = 8;
/** Scores and probabilities of attention, and what their log-sum-exp is made of. */
const SCORES = 3;
const FLOAT = 4;

/** Rows of a step's input that make a strip of `bytes` bytes; at least one (two where sizes are halved). */
export function stripRows(input: Shape, step: StripStep, bytes: number): number {
  const rows = Math.floor(bytes / rowBytes(input, step)) - 2 * step.halo;
  return Math.min(input[1], Math.max(step.scale === 0.5 ? 2 : 1, rows));
}

/**
 * Bytes that a row of a step's input stands for: COPIES times as many are alive inside the step, its scores in attention
 * included.
 */
function rowBytes([n, height, width, c]: Shape, {channels, scale, heads = 0, copies = COPIES}: StripStep): number {
  const maps = copies * Math.max(c, channels * scale * scale);
  const scores = SCORES * heads * height * width;
  return (FLOAT * n * width * (maps + scores)) / COPIES;
}

/** Chooses frames at a time and the size of strips for a bound in bytes. @throws UserError where not even one frame fits. */
export function planDecode(
  autoencoder: AutoencoderKL,
  wanted: {frames: number; height: number; width: number; temporal: boolean},
  memory: number,
): DecodePlan {
  let least = Number.POSITIVE_INFINITY;
  for (let frames = wanted.frames; frames >= 1; frames--) {
    const walked = walk(autoencoder.decodeSteps(wanted.temporal ? frames : undefined), [
      frames,
      wanted.height,
      wanted.width,
      autoencoder.config.latentChannels,
    ]);
    const whole = COPIES * walked.largest + walked.keys;
    if (whole <= memory) return {frames, stripBytes: undefined, engineBytes: whole, parkedBytes: 0};
    // Fewer frames decoded whole come before strips only where layers over time do not need the frames together.
    if (!wanted.temporal && frames > 1) continue;
    // A strip more is parked than the map itself: rows of the input go as those of the output come.
    const fixed = walked.parked + walked.keys;
    const stripBytes = Math.floor((memory - fixed) / (COPIES + 1));
    least = Math.min(least, fixed + (COPIES + 1) * walked.narrowest);
    if (stripBytes < walked.narrowest) continue;
    return {
      frames,
      stripBytes,
      engineBytes: COPIES * stripBytes + walked.keys,
      parkedBytes: walked.parked + stripBytes,
    };
  }
  throw new UserError(
    `Decoding frames of ${wanted.height * autoencoder.factor}x${wanted.width * autoencoder.factor} takes at least ${mebibytes(least)}, but the memory is bound to ${mebibytes(memory)}: raise the bound or sample smaller frames.`,
  );
}

/** How a UNet is evaluated within a bound: whole, or on strips of `stripBytes`. */
export interface UNetPlan {
  readonly stripBytes: number | undefined;
  readonly engineBytes: number;
  readonly parkedBytes: number;
}

/**
 * The memory of one evaluation on clips of `frames`, the maps kept for the way up included.
 * @throws UserError where not even strips of single rows fit.
 */
export function planUNet(unet: UNet, clip: {frames: number; height: number; width: number}, memory: number): UNetPlan {
  const plan = fitUNet(unet, clip, memory);
  if ('least' in plan)
    throw new UserError(
      `Enlarging ${clip.frames} frames at ${clip.height}x${clip.width} takes at least ${mebibytes(plan.least)}, but the memory is bound to ${Math.floor(memory / 2 ** 20)} MiB: raise the bound, or enlarge fewer frames at a time.`,
    );
  return plan;
}

/** `planUNet`, or the least bytes that would do where it does not fit. */
export function fitUNet(
  unet: UNet,
  {frames, height, width}: {frames: number; height: number; width: number},
  memory: number,
): UNetPlan | {readonly least: number} {
  const found = {largest: 0, narrowest: 0, keys: 0};
  const bytesOf = ([n, h, w, c]: Shape) => FLOAT * n * h * w * c;
  const first: Shape = [frames, height, width, unet.config.inChannels];
  let [live, parked] = [bytesOf(first), 0];
  const run = (step: StripStep, maps: readonly Shape[], last: boolean): Shape => {
    const [n, h, w] = maps[0]!;
    const input: Shape = [n, h, w, maps.reduce((sum, map) => sum + map[3], 0)];
    const row = rowBytes(input, step);
    const output: Shape = [n, Math.ceil(h * step.scale), Math.ceil(w * step.scale), step.channels];
    found.largest = Math.max(found.largest, row * h);
    found.narrowest = Math.max(found.narrowest, row * ((step.scale === 0.5 ? 2 : 1) + 2 * step.halo));
    if (step.heads !== undefined) found.keys = Math.max(found.keys, 4 * bytesOf(input));
    live += bytesOf(output);
    parked = Math.max(parked, live);
    if (last) live -= bytesOf(input);
    return output;
  };
  unet.forwardOver<Shape>(first, run, {frames});
  const whole = COPIES * found.largest + found.keys + parked;
  if (whole <= memory) return {stripBytes: undefined, engineBytes: whole, parkedBytes: 0};
  const fixed = parked + found.keys;
  const stripBytes = Math.floor((memory - fixed) / (COPIES + 1));
  if (stripBytes < found.narrowest) return {least: Math.ceil(fixed + (COPIES + 1) * found.narrowest)};
  return {stripBytes, engineBytes: COPIES * stripBytes + found.keys, parkedBytes: parked + stripBytes};
}

/** For messages. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

/** Over all steps: the largest map, the most parked between two, the least a strip can be, and attention's keys and values. */
function walk(
  steps: readonly StripStep[],
  first: Shape,
): {largest: number; parked: number; narrowest: number; keys: number} {
  let shape = first;
  const found = {largest: 0, parked: 0, narrowest: 0, keys: 0};
  for (const step of steps) {
    const {scale, channels, halo, heads} = step;
    const [n, height, width, c] = shape;
    const row = rowBytes(shape, step);
    const input = FLOAT * n * height * width * c;
    shape = [n, Math.ceil(height * scale), Math.ceil(width * scale), channels];
    const output = FLOAT * n * shape[1] * shape[2] * channels;
    found.largest = Math.max(found.largest, row * height);
    found.narrowest = Math.max(found.narrowest, row * ((scale === 0.5 ? 2 : 1) + 2 * halo));
    found.parked = Math.max(found.parked, input, output);
    // While strips' own keys and values are joined they are there twice.
    if (heads !== undefined) found.keys = Math.max(found.keys, 4 * input);
  }
  return found;
}
