// Diffusion: schedule, objective, guidance, samplers, as pure functions.
export {classifierFree, guide} from './guidance.ts';
export {enlarge, lowResolutionCondition, shrink} from './low_resolution.ts';
export {noiseTensor, samplingNoise} from './noise.ts';
export * from './objective.ts';
export {
  advance,
  type SampleInputs,
  type SampleProgress,
  type Sampler,
  type SamplerName,
  type SamplerStep,
  type SamplerSteps,
  samplerSteps,
  samplers,
} from './samplers/index.ts';
export * from './schedule.ts';
