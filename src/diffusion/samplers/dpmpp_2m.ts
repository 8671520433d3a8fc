// DPM-Solver++(2M), the second-order multistep solver in terms of x0 (Lu et al. 2022, "DPM-Solver++", algorithm 2).
// The first step and the last, which goes to sigma = 0, are of first order.
import {cleanOf, type SamplerStep, type SamplerSteps, weighted} from './sampler.ts';
import {noiseRatio, spacedTimestepsMultistep} from './spacing.ts';

/**
 * With lambda = ln(alpha / sigma), h = lambda' - lambda, r = h_before / h and D = x0 + (x0 - x0_before) / (2 r):
 * x' = (sigma' / sigma) x - alpha' (exp(-h) - 1) D.
 */
export const dpmpp2mSteps: SamplerSteps = (schedule, prediction, steps) => {
  const timesteps = spacedTimestepsMultistep(schedule, steps);
  const s = [...timesteps.map(t => noiseRatio(schedule, t)), 0];
  const alphaOf = (ratio: number) => 1 / Math.sqrt(ratio * ratio + 1);
  return timesteps.map((timestep, index): SamplerStep => {
    const [now, next] = [s[index]!, s[index + 1]!];
    const [alpha, alphaNext] = [alphaOf(now), alphaOf(next)];
    const clean = cleanOf(prediction, alpha, now * alpha);
    if (next === 0) return {timestep, input: 1, next: {...clean, kept: 0}};
    const h = Math.log(now / next);
    // -alpha' (exp(-h) - 1); exp(-h) = s' / s.
    const weight = alphaNext * (1 - next / now);
    const hBefore = index === 0 ? 0 : Math.log(s[index - 1]! / now);
    // 1 / (2 r). No slope over no distance: steps that hold no signal have one noise ratio, where a schedule has several of them.
    const half = hBefore === 0 ? 0 : h / (2 * hBefore);
    const rest = {x: (next * alphaNext) / (now * alpha), output: 0};
    const moved = weighted([1, rest], [weight * (1 + half), clean]);
    return {timestep, input: 1, next: {...moved, kept: -weight * half}, keep: clean};
  });
};
