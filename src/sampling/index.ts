// Sampling: noise -> latents -> frames.
export {decodeLatents} from './decode_latents.ts';
export {type LatentDiffusion, type SampleOptions, sampleLatents} from './sample_latents.ts';
