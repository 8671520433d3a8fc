// The closed registry of samplers.
import {ddimSteps} from './ddim.ts';
import {dpmpp2mSteps} from './dpmpp_2m.ts';
import {eulerSteps} from './euler.ts';
import {runSteps, type Sampler, type SamplerSteps} from './sampler.ts';

export type SamplerName = 'ddim' | 'euler' | 'dpmpp_2m';

/** Samplers as tables of numbers. */
export const samplerSteps = {
  ddim: ddimSteps,
  euler: eulerSteps,
  dpmpp_2m: dpmpp2mSteps,
} as const satisfies Record<SamplerName, SamplerSteps>;

const sampler =
  (name: SamplerName): Sampler =>
  async inputs =>
    runSteps(inputs, samplerSteps[name](inputs.schedule, inputs.prediction, inputs.steps));

/** Samplers of a whole batch. */
export const samplers = {
  ddim: sampler('ddim'),
  euler: sampler('euler'),
  dpmpp_2m: sampler('dpmpp_2m'),
} as const satisfies Record<SamplerName, Sampler>;

export {
  advance,
  type SampleInputs,
  type SampleProgress,
  type Sampler,
  type SamplerStep,
  type SamplerSteps,
} from './sampler.ts';
