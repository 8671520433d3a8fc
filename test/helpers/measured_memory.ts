// What a training step really takes on the torch engine, to compare estimates with.
import {engineStats, resetPeakMemory} from 'tfjs-backend-torch';
import {loadConfig} from '../../src/config/load.ts';
import type {StageConfig} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import type {WeightSpec} from '../../src/layers/block.ts';
import {initialValues} from '../../src/layers/initializers.ts';
import {AutoencoderKL, UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {disposeSlots, makeMomentSlots, makeSlots} from '../../trainers/optimizer/optimizer.ts';
import type {Frozen} from '../../trainers/parents/frozen.ts';
import {trainOneStep} from '../../trainers/reports/estimate_memory.ts';
import {recipeOf} from '../../trainers/stages.ts';

/** The most bytes that the torch engine's allocator holds in one step. */
export async function measuredPeak(config: StageConfig, frozen: Frozen | undefined): Promise<number> {
  const engine = await openEngine('torch');
  // A GPU's library of products keeps a workspace from the first one on.
  tf.tidy(() => tf.matMul(tf.ones([1, 1]), tf.ones([1, 1])).dataSync());
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
export function untrainedParent(config: StageConfig, file: string): Frozen | undefined {
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
