// Prints the losses of the tiny temporal stage on the cpu engine and on node-gpu, step by step, and ends with code 1 where
// they differ by more than 1e-4. Run: npx tsx scripts/node_gpu/compare_losses.ts
import '@tensorflow/tfjs-backend-cpu';
import {openNodeGpu} from '../../src/engine/node_gpu/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';
import {largestDifference, temporalLosses} from './temporal_losses.ts';

const steps = 20;
const tolerance = 1e-4;

async function main(): Promise<void> {
  const {device, describe} = await openNodeGpu();
  const described = Object.entries(describe).map(([key, value]) => `${key} ${value}`);
  console.log(`node-gpu on ${device}: ${described.join(', ')}`);
  const node = await temporalLosses(steps);
  await tf.setBackend('cpu');
  const cpu = await temporalLosses(steps);
  console.log('step       cpu  node-gpu  difference');
  for (const [step, loss] of cpu.losses.entries()) {
    const other = node.losses[step]!;
    console.log(
      `${String(step).padStart(4)}  ${loss.toFixed(6)}  ${other.toFixed(6)}  ${(other - loss).toExponential(1)}`,
    );
  }
  const difference = largestDifference(cpu.losses, node.losses);
  console.log(`largest difference ${difference.toExponential(2)} (allowed ${tolerance}); loss ${fell(cpu.losses)}`);
  console.log(`median step: cpu ${median(cpu.milliseconds)} ms, node-gpu ${median(node.milliseconds)} ms`);
  if (difference > tolerance) process.exitCode = 1;
}

const fell = (losses: number[]) => `${losses[0]!.toFixed(3)} -> ${losses.at(-1)!.toFixed(3)}`;

function median(values: number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!.toFixed(0);
}

main().catch(error => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
});
