// Sampling: noise -> latents -> frames.
export {decodeLatents} from './decode_latents.ts';
export {chunkStarts, type DecodedFrames, type DecodeOptions, decodeOnStrips, decodeVideo} from './decode_video.ts';
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
export {type PredictOptions, predictFrames, predictionWindows} from './predict_frames.ts';
export {type LatentDiffusion, type SampleOptions, sampleLatents} from './sample_latents.ts';
export {type NoisePlace, type SamplingPart, windowNoise} from './sampling_noise.ts';
export {unetOnStrips} from './unet_on_strips.ts';
export {type UpsampleOptions, upsampleVideo, type VideoUpsampler} from './upsample_video.ts';
