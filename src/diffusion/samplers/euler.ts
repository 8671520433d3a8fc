// Euler's method on the probability-flow ODE (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based
// Generative Models", algorithm 2 without churn). The state is y = x0 + s eps with s = sigma / alpha; the network sees
// x = y / sqrt(s^2 + 1).
import {cleanOf, type SamplerSteps} from './sampler.ts';
import {noiseRatio, spacedTimesteps} from './spacing.ts';

/** y' = y + (s' - s) (y - x0) / s, from y = sqrt(s^2 + 1) noise down to s = 0. */
export const eulerSteps: SamplerSteps = (schedule, prediction, steps) => {
  const timesteps = spacedTimesteps(schedule, steps);
  const s = [...timesteps.map(t => noiseRatio(schedule, t)), 0];
  return timesteps.map((timestep, index) => {
    const now = s[index]!;
    const alpha = 1 / Math.sqrt(now * now + 1);
    // x0 in terms of x = alpha y.
    const clean = cleanOf(prediction, alpha, now * alpha);
    const rate = (s[index + 1]! - now) / now;
    // The first state is the noise itself, x instead of y.
    const input = index === 0 ? 1 : alpha;
    const next = {x: ((1 + rate) / alpha - rate * clean.x) * input, output: -rate * clean.output, kept: 0};
    return {timestep, input, next};
  });
};
