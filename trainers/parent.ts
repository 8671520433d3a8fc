// From a parent run to what a stage freezes of it, once, before its first step.
import {batches} from '../datasets/index.ts';
import {diffusionSchema} from '../src/config/common.ts';
import type {ImageStageConfig, StageConfig, TemporalStageConfig} from '../src/config/schema.ts';
import {UserError} from '../src/platform/user_error.ts';
import {trainingData} from './data.ts';
import {buildAutoencoder, type Frozen} from './frozen.ts';
import {encodeBatch} from './latents.ts';
import type {LoadedModels} from './load_models.ts';
import {loadParent} from './load_run.ts';

/** What the stage of `config` freezes; undefined for a stage that starts from nothing. */
export async function freezeParent(config: StageConfig): Promise<Frozen | undefined> {
  switch (config.stage) {
    case 'autoencoder':
      return undefined;
    case 'image':
      return freezeAutoencoder(config, await loadParent(config.from));
    case 'temporal':
      return freezeImageModel(config, await loadParent(config.from));
    default:
      return config satisfies never;
  }
}

async function freezeAutoencoder(config: ImageStageConfig, parent: LoadedModels): Promise<Frozen> {
  const {autoencoder} = parent;
  // Without a UNet of its own the stage goes on from its parent's.
  const unet = config.unet ? undefined : parent.unet;
  const inChannels = (config.unet ?? unet?.config)?.inChannels;
  if (inChannels === undefined)
    throw new UserError(
      `The image stage has no "unet", and ${config.from} has none to go on from: describe one, or set "from" to an image run or imported models.`,
    );
  if (unet?.config.temporal)
    throw new UserError(`The image stage goes on from an image model, but ${config.from} is a video model.`);
  if (autoencoder.config.latentChannels !== inChannels) {
    throw new UserError(
      `unet.inChannels is ${inChannels}, but the autoencoder of ${config.from} has ${autoencoder.config.latentChannels} latent channels: make them equal.`,
    );
  }
  const scaleFactor =
    parent.scaleFactor ?? autoencoder.config.scaleFactor ?? (await measureScaleFactor(config, autoencoder));
  const diffusion = config.diffusion ?? (unet && parent.diffusion) ?? diffusionSchema.parse({});
  if (unet && config.diffusion && parent.diffusion)
    refuseOtherDiffusion(config.diffusion, parent.diffusion, config.from);
  return {parent: origin(parent), autoencoder, scaleFactor, diffusion, ...(unet ? {unet} : {})};
}

async function freezeImageModel(config: TemporalStageConfig, parent: LoadedModels): Promise<Frozen> {
  const {autoencoder, unet, diffusion, scaleFactor} = parent;
  if (!unet || !diffusion || scaleFactor === undefined || unet.config.temporal) {
    throw new UserError(
      `The temporal stage starts from an image model, but ${config.from} is of stage "${parent.stage}": set "from" to an image run or imported models.`,
    );
  }
  if (config.diffusion) refuseOtherDiffusion(config.diffusion, diffusion, config.from);
  return {parent: origin(parent), autoencoder, scaleFactor, unet, diffusion};
}

/** The paper trains image and video with the same noise schedule and target. */
function refuseOtherDiffusion(wanted: Frozen['diffusion'], has: Frozen['diffusion'], from: string): void {
  const refuse = (field: string, now: unknown, before: unknown) => {
    if (now !== before)
      throw new UserError(
        `diffusion.${field} is ${now}, but the image model of ${from} was trained with ${before}: a video model keeps its image model's.`,
      );
  };
  refuse('prediction', wanted.prediction, has.prediction);
  for (const field of ['kind', 'betaStart', 'betaEnd', 'steps', 'zeroTerminalSnr'] as const) {
    refuse(`schedule.${field}`, wanted.schedule[field], has.schedule[field]);
  }
}

const MEASURED_BATCHES = 4;

/** 1 / standard deviation of the latents of the first batches (latent-diffusion's scale_by_std). */
async function measureScaleFactor(config: ImageStageConfig, autoencoder: LoadedModels['autoencoder']): Promise<number> {
  const model = buildAutoencoder({autoencoder});
  const data = batches(trainingData(config), {seed: config.run.seed});
  let [count, sum, squares] = [0, 0, 0];
  for (let i = 0; i < MEASURED_BATCHES; i++) {
    const next = await data.next();
    if (next.done) break;
    const latents = encodeBatch(model, 1, next.value);
    for (const value of await latents.data()) {
      count += 1;
      sum += value;
      squares += value * value;
    }
    latents.dispose();
  }
  await data.return(undefined);
  model.dispose();
  const deviation = Math.sqrt(squares / count - (sum / count) ** 2);
  if (!(deviation > 0))
    throw new UserError(
      `The autoencoder of ${config.from} gives constant latents (standard deviation ${deviation}): train it longer, or set autoencoder.scaleFactor.`,
    );
  return Math.fround(1 / deviation);
}

const origin = ({checkpoint, stage, step}: LoadedModels): Frozen['parent'] => ({path: checkpoint, stage, step});
