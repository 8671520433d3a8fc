// The estimate of a stage's memory beside what the torch engine's allocator measures in a real step of the same configuration.
// Usage: node --import tsx scripts/memory_estimates.ts
import {engineStats, resetPeakMemory} from 'tfjs-backend-torch';
import {loadConfig} from '../src/config/load.ts';
import type {StageConfig} from '../src/config/schema.ts';
import {openEngine} from '../src/engine/index.ts';
import type {WeightSpec} from '../src/layers/block.ts';
import {initialValues} from '../src/layers/initializers.ts';
import {AutoencoderKL, UNet} from '../src/models/index.ts';
import {estimateMemory, trainOneStep} from '../trainers/estimate_memory.ts';
import type {Frozen} from '../trainers/frozen.ts';
import {disposeSlots, makeMomentSlots, makeSlots} from '../trainers/optimizer.ts';
import {recipeOf} from '../trainers/stages.ts';

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
  const frozen = parentOf(config, file);
  const start = performance.now();
  const estimate = await estimateMemory(config, frozen);
  const took = performance.now() - start;
  const measured = await measure(config, frozen);
  const off = estimate.peak / measured - 1;
  worst = Math.max(worst, Math.abs(off));
  console.log(
    `${name}: estimated ${mib(estimate.peak)} (weights ${mib(estimate.weights)}, optimiser ${mib(estimate.optimizer)}, gradients ${mib(estimate.gradients)}, activations ${mib(estimate.activations)}) in ${(took / 1000).toFixed(1)} s; measured ${mib(measured)}: ${off < 0 ? '' : '+'}${(100 * off).toFixed(1)} %`,
  );
}
console.log(`worst: ${(100 * worst).toFixed(1)} %`);
process.exit(worst < 0.1 ? 0 : 1);

async function measure(config: StageConfig, frozen: Frozen | undefined): Promise<number> {
  const engine = await openEngine('torch');
  const before = engineStats().allocated;
  const recipe = await recipeOf({config, frozen, heldOut: []});
  const slots = makeSlots(recipe.trained);
  const adversarySlots = makeMomentSlots(recipe.adversary?.trained ?? []);
  resetPeakMemory();
  await trainOneStep(config, recipe, {slots, adversarySlots}, engine);
  const {peak} = engineStats();
  disposeSlots([...slots, ...adversarySlots]);
  recipe.dispose();
  return peak - before;
}

/** An untrained parent, as the stages before in the same folder describe it. */
function parentOf(config: StageConfig, file: string): Frozen | undefined {
  if (config.stage === 'autoencoder') return undefined;
  const beside = (stage: string) => loadConfig(file.replace(/\w+\.yaml$/, `${stage}.yaml`));
  const {autoencoder} = beside('autoencoder') as Extract<StageConfig, {stage: 'autoencoder'}>;
  const {unet} = beside('image') as Extract<StageConfig, {stage: 'image'}>;
  if (!autoencoder || !unet) throw new Error('These configurations describe their networks.');
  return {
    parent: {path: 'untrained', stage: 'image', step: 0},
    autoencoder: {config: autoencoder, weights: weightsOf(new AutoencoderKL(autoencoder).weightSpecs())},
    scaleFactor: 1,
    diffusion: {
      schedule: {kind: 'scaled_linear', betaStart: 0.00085, betaEnd: 0.012, steps: 1000, zeroTerminalSnr: false},
      prediction: 'eps',
    },
    ...(config.stage === 'image' ? {} : {unet: {config: unet, weights: weightsOf(new UNet(unet).weightSpecs())}}),
  };
}

function weightsOf(specs: readonly WeightSpec[]) {
  return new Map(
    specs.map(({path, shape, layout, init}) => [
      path,
      {shape, layout, data: initialValues(init, shape, {seed: 0, path})},
    ]),
  );
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
