// Learning rate and EMA decay as functions of the step.

interface LearningRateConfig {
  learningRate: number;
  warmupSteps: number;
  schedule: 'constant' | 'cosine';
}

/** Rate for the update that turns step `step` into `step + 1`: linear warm-up, then constant or half a cosine to 0. */
export function learningRateAt(config: LearningRateConfig, step: number, steps: number): number {
  const {learningRate, warmupSteps, schedule} = config;
  if (step < warmupSteps) return (learningRate * (step + 1)) / (warmupSteps + 1);
  if (schedule === 'constant') return learningRate;
  const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return 0.5 * learningRate * (1 + Math.cos(Math.PI * Math.min(1, progress)));
}

/** Decay of the EMA at `step` (0-based): ramps up as (1 + n) / (10 + n), so that short runs do not average the start. */
export function emaDecayAt(decay: number, step: number): number {
  return Math.min(decay, (1 + step) / (10 + step));
}
