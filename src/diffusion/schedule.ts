// The noise schedule: how much signal (alpha) and noise (sigma) each timestep holds, variance preserving,
// x_t = alpha_t x + sigma_t eps with alpha^2 + sigma^2 = 1 (Ho et al. 2020, eq. 4; Video LDM, "Background").

/**
 * How beta runs from `betaStart` to `betaEnd`.
 * `linear`: beta itself is linear (Ho et al. 2020). `scaled_linear`: sqrt(beta) is linear, as in Stable Diffusion.
 * Trap: the latent-diffusion code base calls the second one "linear", and the first "sqrt_linear".
 */
export type ScheduleKind = 'linear' | 'scaled_linear';

export interface ScheduleConfig {
  kind: ScheduleKind;
  betaStart: number;
  betaEnd: number;
  /** Number of timesteps; 1000 where absent. */
  steps?: number;
  /** Shift and scale sqrt(alphasCumprod) so that the last step holds no signal; wants prediction `v`. */
  zeroTerminalSnr?: boolean;
}

/** Index t of each array is timestep t in 0 .. steps-1. */
export interface NoiseSchedule {
  config: Required<ScheduleConfig>;
  /** Product of (1 - beta) up to t; alpha^2. */
  alphasCumprod: Float64Array;
  alphas: Float64Array;
  sigmas: Float64Array;
}

/** Stable Diffusion's schedule, which the temporal stage shares with the image model it extends. */
export const stableDiffusionSchedule = {
  kind: 'scaled_linear',
  betaStart: 0.00085,
  betaEnd: 0.012,
  steps: 1000,
  zeroTerminalSnr: false,
} as const satisfies ScheduleConfig;

/** @throws RangeError for betas outside 0 < betaStart <= betaEnd < 1 or fewer than 2 steps. */
export function makeSchedule(config: ScheduleConfig): NoiseSchedule {
  const {kind, betaStart, betaEnd, steps = 1000, zeroTerminalSnr = false} = config;
  if (!(betaStart > 0 && betaStart <= betaEnd && betaEnd < 1)) {
    throw new RangeError(`The schedule needs 0 < betaStart <= betaEnd < 1, got ${betaStart} and ${betaEnd}.`);
  }
  if (!Number.isInteger(steps) || steps < 2) throw new RangeError(`The schedule needs 2 steps or more, got ${steps}.`);
  const alphas = new Float64Array(steps);
  let product = 1;
  for (const [t, beta] of betas(kind, betaStart, betaEnd, steps).entries()) {
    product *= Math.fround(1 - beta);
    alphas[t] = Math.sqrt(Math.fround(product));
  }
  if (zeroTerminalSnr) rescaleToZeroTerminalSnr(alphas);
  const alphasCumprod = alphas.map(alpha => alpha * alpha);
  return {
    config: {kind, betaStart, betaEnd, steps, zeroTerminalSnr},
    alphasCumprod,
    alphas,
    sigmas: alphasCumprod.map(product => Math.sqrt(1 - product)),
  };
}

/** Rounded to float32 where the reference implementation rounds, so that its table comes out bit for bit. */
function betas(kind: ScheduleKind, start: number, end: number, steps: number): Float32Array {
  if (kind === 'linear') return linspace(start, end, steps);
  return linspace(Math.sqrt(start), Math.sqrt(end), steps).map(root => root * root);
}

/** As PyTorch computes it in float32: from the nearer end, one rounding each. */
function linspace(start: number, end: number, count: number): Float32Array {
  const [first, last] = [Math.fround(start), Math.fround(end)];
  const step = Math.fround(Math.fround(last - first) / (count - 1));
  return Float32Array.from({length: count}, (_, i) =>
    i < count / 2 ? first + step * i : last - step * (count - 1 - i),
  );
}

/** Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1. */
function rescaleToZeroTerminalSnr(alphas: Float64Array): void {
  const first = alphas[0]!;
  const last = alphas.at(-1)!;
  for (let t = 0; t < alphas.length; t++) alphas[t] = ((alphas[t]! - last) * first) / (first - last);
}

/** Signal-to-noise ratio alpha^2 / sigma^2 of each timestep. */
export function snr(schedule: NoiseSchedule): Float64Array {
  return schedule.alphasCumprod.map(product => product / (1 - product));
}
