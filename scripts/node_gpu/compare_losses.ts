// Prints the losses of the tiny temporal stage on two engines, step by step, and ends with code 1 where they differ by more
// than 1e-4.  npx tsx scripts/node_gpu/compare_losses.ts [clip|narrow] [engine] [engine]   (default clip cpu node-gpu)
import {engineNames} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {largestDifference, median, scales, type TemporalLosses, temporalLosses} from './temporal_losses.ts';

const steps = 20;
const tolerance = 1e-4;

async function main(): Promise<void> {
  const [scaleName = 'clip', first = 'cpu', second = 'node-gpu'] = process.argv.slice(2);
  const scale = Object.entries(scales).find(([name]) => name === scaleName)?.[1];
  if (!scale) throw new UserError(`The size must be one of ${Object.keys(scales).join(', ')}; it is "${scaleName}".`);
  const runs: TemporalLosses[] = [];
  for (const name of [first, second]) {
    const engine = engineNames.find(known => known === name);
    if (!engine) throw new UserError(`An engine must be one of ${engineNames.join(', ')}; it is "${name}".`);
    const run = await temporalLosses(engine, scale, steps);
    console.log(
      Object.entries(run.engine)
        .map(([key, value]) => `${key}: ${value}`)
        .join(', '),
    );
    runs.push(run);
  }
  const [a, b] = runs as [TemporalLosses, TemporalLosses];
  console.log(`step  ${first.padStart(8)}  ${second.padStart(8)}  difference`);
  for (const [step, loss] of a.losses.entries()) {
    const other = b.losses[step]!;
    const difference = (other - loss).toExponential(1);
    console.log(`${String(step).padStart(4)}  ${loss.toFixed(6)}  ${other.toFixed(6)}  ${difference.padStart(10)}`);
  }
  const difference = largestDifference(a.losses, b.losses);
  console.log(`largest difference ${difference.toExponential(2)}, allowed ${tolerance}`);
  console.log(`largest change of a temporal weight: ${runs.map(run => run.moved.toFixed(4)).join(', ')}`);
  const apart = largestDifference(a.weights, b.weights);
  console.log(`largest difference of a temporal weight after ${steps} steps: ${apart.toExponential(2)}`);
  console.log(`median step: ${runs.map(run => `${median(run.milliseconds).toFixed(0)} ms`).join(', ')}`);
  if (!(difference <= tolerance)) process.exitCode = 1;
}

main().catch(error => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
});
