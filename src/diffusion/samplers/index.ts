// The closed registry of samplers.
import {ddim} from './ddim.ts';
import {dpmpp2m} from './dpmpp_2m.ts';
import {euler} from './euler.ts';
import type {Sampler} from './sampler.ts';

export type SamplerName = 'ddim' | 'euler' | 'dpmpp_2m';

export const samplers = {ddim, euler, dpmpp_2m: dpmpp2m} as const satisfies Record<SamplerName, Sampler>;

export type {SampleInputs, SampleProgress, Sampler} from './sampler.ts';
