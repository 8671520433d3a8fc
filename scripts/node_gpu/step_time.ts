// Prints the time of a training step of the shipped tiny temporal stage on an engine.
// npx tsx scripts/node_gpu/step_time.ts ENGINE [shipped|clip|narrow] [STEPS]
import {engineNames} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {median, scales, temporalLosses} from './temporal_losses.ts';

async function main(): Promise<void> {
  const [name = 'node-gpu', scaleName = 'shipped', steps = '12'] = process.argv.slice(2);
  const engine = engineNames.find(known => known === name);
  const scale = Object.entries(scales).find(([known]) => known === scaleName)?.[1];
  if (!engine || !scale || !/^[1-9]\d{0,3}$/.test(steps))
    throw new UserError(
      `Expected an engine (${engineNames.join(', ')}), a size (${Object.keys(scales).join(', ')}) and a number of steps; got "${name}", "${scaleName}", "${steps}".`,
    );
  const {engine: described, milliseconds, losses} = await temporalLosses(engine, scale, Number(steps));
  const steady = milliseconds.slice(2);
  const [low, high] = [Math.min(...steady), Math.max(...steady)].map(time => time.toFixed(0));
  console.log(`${JSON.stringify(described)}`);
  console.log(
    `${name} ${scaleName}: median ${median(steady).toFixed(0)} ms (${low} to ${high}), loss ${losses[0]}, ${losses.at(-1)}`,
  );
}

main().catch(error => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
});
