// Which of the trained timesteps a sampler visits, from the noisiest to the cleanest.
// Leading spacing with an offset of one, as Stable Diffusion's samplers have it; trailing spacing where the schedule ends
// without signal, since leading never visits the last step (Lin et al. 2023, section 3.3).
import type {NoiseSchedule} from '../schedule.ts';

const OFFSET = 1;

/** @throws RangeError unless 1 <= steps <= the schedule's number. */
export function spacedTimesteps(schedule: NoiseSchedule, steps: number): number[] {
  const trained = checkedSteps(schedule, steps);
  if (schedule.config.zeroTerminalSnr) return trailing(trained, steps);
  const ratio = Math.floor(trained / steps);
  return leading(trained, steps, ratio, steps - 1);
}

/** The multistep solver divides by steps + 1 instead, so that its first step is nearer the noisy end. */
export function spacedTimestepsMultistep(schedule: NoiseSchedule, steps: number): number[] {
  const trained = checkedSteps(schedule, steps);
  if (schedule.config.zeroTerminalSnr) return trailing(trained, steps);
  const ratio = Math.max(Math.floor(trained / (steps + 1)), 1);
  return leading(trained, steps, ratio, steps);
}

/** sigma / alpha of a timestep; where no signal is left, that of alpha^2 = 2^-24. */
export function noiseRatio(schedule: NoiseSchedule, timestep: number): number {
  const product = Math.max(schedule.alphasCumprod[timestep]!, 2 ** -24);
  return Math.sqrt((1 - product) / product);
}

/** (first - i) * ratio + 1; the offset gives way where it would leave the schedule (as many steps as were trained). */
function leading(trained: number, steps: number, ratio: number, first: number): number[] {
  const offset = Math.min(OFFSET, trained - 1 - first * ratio);
  return Array.from({length: steps}, (_, i) => (first - i) * ratio + offset);
}

function trailing(trained: number, steps: number): number[] {
  return Array.from({length: steps}, (_, i) => Math.round(trained - (i * trained) / steps) - 1);
}

function checkedSteps(schedule: NoiseSchedule, steps: number): number {
  const trained = schedule.config.steps;
  if (Number.isInteger(steps) && steps >= 1 && steps <= trained) return trained;
  throw new RangeError(`A sampler takes 1 to ${trained} steps (the schedule's), got ${steps}.`);
}
