// Diffusion: schedule, objective, guidance, samplers, as pure functions.
export {classifierFree, guide} from './guidance.ts';
export {lowResolutionCondition, shrink} from './low_resolution.ts';
export {noiseTensor, samplingNoise} from './noise.ts';
export * from './objective.ts';
export {type SampleInputs, type SampleProgress, type Sampler, type SamplerName, samplers} from './samplers/index.ts';
export * from './schedule.ts';
