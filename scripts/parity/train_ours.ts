// Our side: the shared loop, optimiser and EMA of every stage, on the experiment's inputs.
import pino from 'pino';
import type {VideoBatch} from '../../datasets/index.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {diffusionLoss, disposeTables, makeSchedule} from '../../src/diffusion/index.ts';
import type {Engine} from '../../src/engine/index.ts';
import {UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {fromTorch, torchShape, toTorch} from '../../src/weights/layouts.ts';
import {runLoop} from '../../trainers/loop.ts';
import {disposeSlots, makeSlots} from '../../trainers/optimizer/optimizer.ts';
import {type Recipe, trainedWeights} from '../../trainers/recipe.ts';
import {neverStop} from '../../trainers/run/stop_request.ts';
import {
  accumulate,
  clipNorm,
  diffusion,
  inputsOf,
  optimizer,
  type ParityStage,
  steps,
  unetConfig,
  weightSeed,
} from './experiment.ts';
import {fixtureOf, type NamedValues, readTrajectory, type Trajectory} from './trajectory.ts';

/** The UNet at the start of a stage, its trained part marked; the temporal stage starts from the recorded end of the other. */
export async function startingModel(stage: ParityStage): Promise<UNet> {
  const unet = new UNet(unetConfig(stage)).allocate(weightSeed);
  if (stage === 'image') return unet;
  const {ema} = await readTrajectory(fixtureOf('image'));
  const variables = unet.namedWeights();
  for (const {path, shape, layout, part} of unet.weightSpecs()) {
    if (part === 'temporal') continue;
    const values = tf.tensor(fromTorch(ema.get(path)!.data, shape, layout), [...shape], 'float32');
    variables.get(path)!.assign(values);
    values.dispose();
  }
  unet.trainWhere(({part}) => part === 'temporal');
  return unet;
}

/** All weights as files hold them. */
export function valuesOf(unet: UNet): NamedValues {
  const variables = unet.namedWeights();
  return new Map(unet.weightSpecs().map(({path, layout}) => [path, inFileOrder(variables.get(path)!, layout)]));
}

export async function trainOurs(
  stage: ParityStage,
  engine: Engine,
  {gradientCheckpointing = false} = {},
): Promise<Trajectory> {
  const unet = await startingModel(stage);
  unet.checkpointing = gradientCheckpointing;
  const schedule = makeSchedule(diffusion.schedule);
  const mode = stage === 'image' ? 'image' : 'video';
  const recipe: Recipe<{latents: tf.Tensor; noise: tf.Tensor; context: tf.Tensor3D; timesteps: tf.Tensor1D}> = {
    trained: trainedWeights(unet),
    prepare(_batch, {step, microBatch}) {
      const {latents, noise, context, timesteps} = inputsOf(stage, step, microBatch);
      return {
        latents: tf.tensor(latents.data, latents.shape),
        noise: tf.tensor(noise.data, noise.shape),
        context: tf.tensor<tf.Rank.R3>(context.data, context.shape as [number, number, number]),
        timesteps: tf.tensor1d(timesteps, 'int32'),
      };
    },
    loss: ({latents, noise, context, timesteps}) =>
      diffusionLoss({
        denoise: (noisy, times) => unet.forward({latents: noisy, timesteps: times, context, mode}),
        ...{latents, noise, timesteps, schedule, prediction: diffusion.prediction},
      }),
    heldOut: async () => ({}),
    dispose() {
      unet.dispose();
      disposeTables(schedule);
    },
  };
  const slots = makeSlots(recipe.trained);
  const [losses, gradientNorms]: number[][] = [[], []];
  await runLoop(
    {
      ...{config: loopConfig(), engine, recipe, slots, stop: neverStop, data: emptyBatches()},
      log: {
        logger: pino({level: 'silent'}),
        metrics(kind, _step, figures) {
          if (kind !== 'train') return;
          losses!.push(figures.loss!);
          gradientNorms!.push(figures.gradientNorm!);
        },
        async images() {},
        progress() {},
        async close() {},
      },
      save: async () => {},
      preview: async () => {},
    },
    {step: 0, data: undefined, metrics: {}},
  );
  const ema: NamedValues = new Map(slots.map(({spec, ema}) => [spec.path, inFileOrder(ema, spec.layout)]));
  disposeSlots(slots);
  recipe.dispose();
  return {losses: losses!, gradientNorms: gradientNorms!, ema};

  function loopConfig() {
    return stageSchemas.image.parse({
      stage: 'image',
      run: {name: 'parity'},
      from: 'nothing',
      unet: unetConfig('image'),
      data: {train: ['none'], heldOut: ['none'], frames: 1, size: [64, 64], batchSize: 1},
      optimizer: {...optimizer, clipNorm: clipNorm[stage]},
      train: {steps, accumulate: accumulate[stage]},
      checkpoint: {every: steps + 1},
      heldOut: {every: steps + 1},
      log: {every: 1},
    });
  }
}

function inFileOrder(variable: tf.Variable, layout: Parameters<typeof toTorch>[2]) {
  const values = variable.dataSync<'float32'>();
  return {shape: torchShape(variable.shape, layout), data: Float32Array.from(toTorch(values, variable.shape, layout))};
}

/** The recipe makes its inputs from the step; the loop only asks for a batch to go with it. */
async function* emptyBatches(): AsyncGenerator<VideoBatch> {
  const nothing = {captions: [], fps: [], labels: [], boxes: [], metadata: [], frames: new Uint8Array(0)};
  for (let position = 0; ; position++) {
    yield {...nothing, kind: 'clips', shape: [0, 0, 0, 0, 3], keys: [`${position}`], position, waitedMs: 0};
  }
}
