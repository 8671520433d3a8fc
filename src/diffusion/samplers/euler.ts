// Euler's method on the probability-flow ODE (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based
// Generative Models", algorithm 2 without churn). The state is y = x0 + s eps with s = sigma / alpha; the network sees
// x = y / sqrt(s^2 + 1).
import * as tf from '../../tf.ts';
import {cleanOf, combine, evaluate, runSteps, type Sampler} from './sampler.ts';
import {noiseRatio, spacedTimesteps} from './spacing.ts';

/** y' = y + (s' - s) (y - x0) / s, from y = sqrt(s^2 + 1) noise down to s = 0. */
export const euler: Sampler = inputs => {
  const {schedule, prediction, steps} = inputs;
  const timesteps = spacedTimesteps(schedule, steps);
  const s = [...timesteps.map(t => noiseRatio(schedule, t)), 0];
  return runSteps(inputs, timesteps, (index, state) => {
    const now = s[index]!;
    const alpha = 1 / Math.sqrt(now * now + 1);
    const y = index === 0 ? tf.div(state, alpha) : state;
    const output = evaluate(inputs, tf.mul(y, alpha), timesteps[index]!);
    // x0 in terms of x = alpha y.
    const clean = cleanOf(prediction, alpha, now * alpha);
    const rate = (s[index + 1]! - now) / now;
    return {x: combine({x: 1 + rate - rate * clean.x * alpha, output: -rate * clean.output}, y, output)};
  });
};
