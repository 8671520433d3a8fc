// Training equals the reference: 50 steps of the image and of the temporal stage against PyTorch's recorded trajectory
// (scripts/parity/compare.ts --write), from the same start, batches, noise and timesteps. AdamW, clipping, accumulation,
// warm-up, cosine and the EMA are all in it.
import {expect, test} from 'vitest';
import {clipNorm, parityStages, steps} from '../../scripts/parity/experiment.ts';
import {trainOurs} from '../../scripts/parity/train_ours.ts';
import {
  emaTolerance,
  fixtureOf,
  largestDifferences,
  lossTolerance,
  readTrajectory,
} from '../../scripts/parity/trajectory.ts';
import {openEngine} from '../../src/engine/index.ts';
import {torchBuild} from '../../src/engine/torch.ts';
import * as tf from '../../src/tf.ts';

const MINUTES = 60_000;
const engine = 'why' in (await torchBuild()) ? 'wasm' : 'torch';

test.each(parityStages)(
  `the %s stage on the ${engine} engine`,
  async stage => {
    const theirs = await readTrajectory(fixtureOf(stage));
    const opened = await openEngine(engine);
    const before = tf.memory().numTensors;
    const {loss, gradientNorm, ema, worst} = largestDifferences(await trainOurs(stage, opened), theirs);
    console.log(
      `${stage}, ${steps} steps: losses differ by ${loss.toExponential(1)}, gradient norms by ${gradientNorm.toExponential(1)}, EMA weights by ${ema.toExponential(1)} (${worst})`,
    );
    expect(loss).toBeLessThan(lossTolerance);
    expect(ema).toBeLessThan(emaTolerance);
    expect(tf.memory().numTensors).toBe(before);
  },
  5 * MINUTES,
);

test(
  'gradient checkpointing changes nothing',
  async () => {
    const theirs = await readTrajectory(fixtureOf('temporal'));
    const ours = await trainOurs('temporal', await openEngine(engine), {gradientCheckpointing: true});
    const {loss, ema} = largestDifferences(ours, theirs);
    expect(loss).toBeLessThan(lossTolerance);
    expect(ema).toBeLessThan(emaTolerance);
  },
  5 * MINUTES,
);

test('the image stage learns in the recorded steps, and clipping is on and off in both', async () => {
  const mean = (some: number[]) => some.reduce((a, b) => a + b, 0) / some.length;
  const {losses} = await readTrajectory(fixtureOf('image'));
  expect(mean(losses.slice(-10))).toBeLessThan(0.7 * mean(losses.slice(0, 10)));
  for (const stage of parityStages) {
    const {gradientNorms} = await readTrajectory(fixtureOf(stage));
    expect(Math.max(...gradientNorms)).toBeGreaterThan(clipNorm[stage]);
    expect(Math.min(...gradientNorms)).toBeLessThan(clipNorm[stage]);
  }
});
