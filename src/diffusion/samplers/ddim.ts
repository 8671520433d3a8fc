// DDIM, deterministic (Song et al. 2021, "Denoising Diffusion Implicit Models", eq. 12 with eta = 0).
import {cleanOf, noiseOf, type SamplerSteps, weighted} from './sampler.ts';
import {spacedTimesteps} from './spacing.ts';

/** x' = alpha' x0(x) + sigma' eps(x). The last step goes to timestep 0, not to alpha = 1. */
export const ddimSteps: SamplerSteps = (schedule, prediction, steps) => {
  const {alphas, sigmas} = schedule;
  const timesteps = spacedTimesteps(schedule, steps);
  return timesteps.map((timestep, index) => {
    const after = timesteps[index + 1] ?? 0;
    const [alpha, sigma] = [alphas[timestep]!, sigmas[timestep]!];
    const next = weighted(
      [alphas[after]!, cleanOf(prediction, alpha, sigma)],
      [sigmas[after]!, noiseOf(prediction, alpha, sigma)],
    );
    return {timestep, input: 1, next: {...next, kept: 0}};
  });
};
