// DPM-Solver++(2M), the second-order multistep solver in terms of x0 (Lu et al. 2022, "DPM-Solver++", algorithm 2).
// The first step and the last, which goes to sigma = 0, are of first order.
import * as tf from '../../tf.ts';
import {cleanOf, combine, evaluate, runSteps, type Sampler} from './sampler.ts';
import {noiseRatio, spacedTimestepsMultistep} from './spacing.ts';

/**
 * With lambda = ln(alpha / sigma), h = lambda' - lambda, r = h_before / h and D = x0 + (x0 - x0_before) / (2 r):
 * x' = (sigma' / sigma) x - alpha' (exp(-h) - 1) D.
 */
export const dpmpp2m: Sampler = inputs => {
  const {schedule, prediction, steps} = inputs;
  const timesteps = spacedTimestepsMultistep(schedule, steps);
  const s = [...timesteps.map(t => noiseRatio(schedule, t)), 0];
  const alphaOf = (ratio: number) => 1 / Math.sqrt(ratio * ratio + 1);
  return runSteps(inputs, timesteps, (index, x, cleanBefore) => {
    const [now, next] = [s[index]!, s[index + 1]!];
    const [alpha, alphaNext] = [alphaOf(now), alphaOf(next)];
    const clean = combine(cleanOf(prediction, alpha, now * alpha), x, evaluate(inputs, x, timesteps[index]!));
    if (next === 0) return {x: clean};
    const h = Math.log(now / next);
    // -alpha' (exp(-h) - 1); exp(-h) = s' / s.
    const weight = alphaNext * (1 - next / now);
    const rest = tf.mul(x, (next * alphaNext) / (now * alpha));
    const hBefore = index === 0 ? 0 : Math.log(s[index - 1]! / now);
    // No slope over no distance: steps that hold no signal have one noise ratio, where a schedule has several of them.
    if (!cleanBefore || hBefore === 0) return {x: tf.add(rest, tf.mul(clean, weight)), keep: clean};
    const half = h / (2 * hBefore);
    const slope = combine({x: weight * (1 + half), output: -weight * half}, clean, cleanBefore);
    return {x: tf.add(rest, slope), keep: clean};
  });
};
