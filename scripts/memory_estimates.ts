// The estimate of a stage's memory beside what the torch engine's allocator measures in a real step of the same configuration.
// Usage: node --import tsx scripts/memory_estimates.ts
import {loadConfig} from '../src/config/load.ts';
import {measuredPeak, untrainedParent} from '../test/helpers/measured_memory.ts';
import {estimateMemory} from '../trainers/reports/estimate_memory.ts';

const cases: readonly (readonly [name: string, file: string, overrides: readonly string[]])[] = [
  ['tiny autoencoder', 'configs/tiny/autoencoder.yaml', []],
  ['tiny image', 'configs/tiny/image.yaml', []],
  ['tiny temporal', 'configs/tiny/temporal.yaml', []],
  ['small autoencoder', 'configs/small/autoencoder.yaml', []],
  ['small image', 'configs/small/image.yaml', []],
  ['small temporal', 'configs/small/temporal.yaml', []],
  ['small temporal, 128 pixels', 'configs/small/temporal.yaml', ['data.size=[128,128]']],
  ['small temporal, 16 frames, batch 2', 'configs/small/temporal.yaml', ['data.frames=16', 'data.batchSize=2']],
];

const asked = process.argv.slice(2).join(' ');
let worst = 0;
for (const [name, file, overrides] of cases.filter(([one]) => one.includes(asked))) {
  const config = loadConfig(file, overrides);
  const frozen = untrainedParent(config, file);
  const start = performance.now();
  const estimate = await estimateMemory(config, frozen);
  const took = performance.now() - start;
  const measured = await measuredPeak(config, frozen);
  const off = estimate.peak / measured - 1;
  worst = Math.max(worst, Math.abs(off));
  console.log(
    `${name}: estimated ${mib(estimate.peak)} (weights ${mib(estimate.weights)}, optimiser ${mib(estimate.optimizer)}, gradients ${mib(estimate.gradients)}, activations ${mib(estimate.activations)}) in ${(took / 1000).toFixed(1)} s; measured ${mib(measured)}: ${off < 0 ? '' : '+'}${(100 * off).toFixed(1)} %`,
  );
}
console.log(`worst: ${(100 * worst).toFixed(1)} %`);
process.exit(worst < 0.1 ? 0 : 1);

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
