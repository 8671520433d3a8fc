// How much memory enlarging a video takes, stated before it begins: the state of all frames, which the sampler holds from the
// first step to the last, and beside it one chunk of frames in the UNet.
import type {SamplerName} from '../diffusion/index.ts';
import {UserError} from '../platform/user_error.ts';
import {fitUNet, mebibytes, planDecode, type UNetPlan} from './memory_plan.ts';
import {type VideoUpsampler, workingSize} from './video_upsampler.ts';

export interface UpsamplePlan extends UNetPlan {
  /** At a time. */
  readonly frames: number;
  /** Of `engineBytes`, what is held of all frames: their states, and the noised low-resolution frames. */
  readonly stateBytes: number;
}

export interface UpsampleSize {
  /** Of the video. */
  readonly frames: number;
  /** Of the low-resolution frames. */
  readonly height: number;
  readonly width: number;
  /** Default 8. */
  readonly framesAtOnce?: number | undefined;
  readonly sampler: SamplerName;
  /** Whether there is classifier-free guidance: two predictions at once. */
  readonly guided: boolean;
}

const FLOAT = 4;
/** States that a sampler holds of each frame between two steps. */
const heldStates = {ddim: 1, euler: 1, dpmpp_2m: 2} as const satisfies Record<SamplerName, number>;
/** Frames' own tensors while one frame moves on: old and new states, and what is between. */
const MOVING = 6;

/**
 * Chooses frames at a time (where no layer over time needs them together) and the size of strips for a bound in bytes.
 * @throws UserError where it cannot fit, with the amount that would do.
 */
export function planUpsample(upsampler: VideoUpsampler, wanted: UpsampleSize, memory: number): UpsamplePlan {
  const {unet, latent} = upsampler;
  const {frames: count, height: h, width: w, framesAtOnce = 8, sampler, guided} = wanted;
  const [height, width] = workingSize(upsampler, [h, w]);
  const {inChannels, outChannels, temporal} = unet.config;
  const frame = FLOAT * height * width;
  const stateBytes = count * (heldStates[sampler] * frame * outChannels + FLOAT * h * w * 3);
  const most = Math.min(framesAtOnce, count);
  let least = Number.POSITIVE_INFINITY;
  for (let frames = most; frames >= (temporal ? most : 1); frames--) {
    // Of the chunk: joined inputs; its prediction, what the chunk before left of it, and another where there are two to guide.
    const predicting = frames * (inChannels + (guided ? 3 : 2) * outChannels);
    const joining = 3 * frames * inChannels;
    const moving = outChannels * (2 * frames + MOVING);
    const fixed = stateBytes + frame * Math.max(predicting, joining, moving);
    const plan = fitUNet(unet, {frames, height, width}, memory - fixed);
    if ('least' in plan) {
      least = Math.min(least, fixed + plan.least);
      continue;
    }
    // Fewer frames whole come before strips where nothing needs the frames together.
    if (plan.stripBytes !== undefined && !temporal && frames > 1) continue;
    if (latent)
      planDecode(
        latent.autoencoder,
        {frames, height, width, temporal: latent.autoencoder.config.temporalDecoder !== undefined},
        memory - stateBytes,
      );
    return {...plan, frames, stateBytes, engineBytes: fixed + plan.engineBytes};
  }
  const {factor} = upsampler;
  throw new UserError(
    `Enlarging ${count} frames to ${h * factor}x${w * factor}, ${most} at a time, takes at least ${mebibytes(least)}, ${mebibytes(stateBytes)} of them for the state of all frames, but the memory is bound to ${mebibytes(memory)}: raise the bound, or enlarge fewer or smaller frames.`,
  );
}
