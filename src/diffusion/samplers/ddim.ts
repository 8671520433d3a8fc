// DDIM, deterministic (Song et al. 2021, "Denoising Diffusion Implicit Models", eq. 12 with eta = 0).
import {cleanOf, combine, evaluate, noiseOf, runSteps, type Sampler, weighted} from './sampler.ts';
import {spacedTimesteps} from './spacing.ts';

/** x' = alpha' x0(x) + sigma' eps(x). The last step goes to timestep 0, not to alpha = 1. */
export const ddim: Sampler = inputs => {
  const {schedule, prediction, steps} = inputs;
  const {alphas, sigmas} = schedule;
  const timesteps = spacedTimesteps(schedule, steps);
  return runSteps(inputs, timesteps, (index, x) => {
    const t = timesteps[index]!;
    const next = timesteps[index + 1] ?? 0;
    const [alpha, sigma] = [alphas[t]!, sigmas[t]!];
    const update = weighted(
      [alphas[next]!, cleanOf(prediction, alpha, sigma)],
      [sigmas[next]!, noiseOf(prediction, alpha, sigma)],
    );
    return {x: combine(update, x, evaluate(inputs, x, t))};
  });
};
