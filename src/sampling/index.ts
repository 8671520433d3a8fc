// Sampling: noise -> latents -> frames.
export {decodeLatents} from './decode_latents.ts';
export {chunkStarts, type DecodedFrames, type DecodeOptions, decodeInSteps, decodeVideo} from './decode_video.ts';
export {frameRange, type GivenFrames, givenTensor, withGiven} from './given_frames.ts';
export {type Guidance, guidedDenoise, type UNetConditions} from './guided_denoise.ts';
export {
  INTERPOLATION,
  type InterpolateOptions,
  interpolatedLength,
  interpolateFrames,
  interpolationWindows,
} from './interpolate_frames.ts';
export {type DecodePlan, planDecode, planUNet, type UNetPlan} from './memory_plan.ts';
export {planUpsample, type UpsamplePlan, type UpsampleSize} from './plan_upsample.ts';
export {type PredictOptions, predictFrames, predictionWindows} from './predict_frames.ts';
export {mostBytes, type RowStore} from './row_store.ts';
export {type LatentDiffusion, type SampleOptions, sampleLatents} from './sample_latents.ts';
export {type NoisePlace, type SamplingPart, windowNoise} from './sampling_noise.ts';
export {type InSteps, type Strips, stripsOf} from './step_runners.ts';
export {unetInSteps} from './unet_in_steps.ts';
export {type UpsampleOptions, upsampleVideo} from './upsample_video.ts';
export type {VideoUpsampler} from './video_upsampler.ts';
