// From a parent run to what a stage freezes of it, once, before its first step.
import {batches} from '../datasets/index.ts';
import type {ImageStageConfig, StageConfig, TemporalStageConfig} from '../src/config/schema.ts';
import {UserError} from '../src/platform/user_error.ts';
import {trainingData} from './data.ts';
import {buildAutoencoder, type Frozen} from './frozen.ts';
import {encodeBatch} from './latents.ts';
import {type LoadedRun, loadRun} from './load_run.ts';

/** What the stage of `config` freezes; undefined for a stage that starts from nothing. */
export async function freezeParent(config: StageConfig): Promise<Frozen | undefined> {
  switch (config.stage) {
    case 'autoencoder':
      return undefined;
    case 'image':
      return freezeAutoencoder(config, await loadRun(config.from));
    case 'temporal':
      return freezeImageModel(config, await loadRun(config.from));
    default:
      return config satisfies never;
  }
}

async function freezeAutoencoder(config: ImageStageConfig, parent: LoadedRun): Promise<Frozen> {
  const {autoencoder} = parent;
  if (autoencoder.config.latentChannels !== config.unet.inChannels) {
    throw new UserError(
      `unet.inChannels is ${config.unet.inChannels}, but the autoencoder of ${config.from} has ${autoencoder.config.latentChannels} latent channels: make them equal.`,
    );
  }
  const scaleFactor =
    parent.scaleFactor ?? autoencoder.config.scaleFactor ?? (await measureScaleFactor(config, autoencoder));
  return {parent: origin(parent), autoencoder, scaleFactor, diffusion: config.diffusion};
}

async function freezeImageModel(config: TemporalStageConfig, parent: LoadedRun): Promise<Frozen> {
  const {autoencoder, unet, diffusion, scaleFactor} = parent;
  if (!unet || !diffusion || scaleFactor === undefined || parent.config.stage !== 'image') {
    throw new UserError(
      `The temporal stage starts from an image run, but ${config.from} is of stage "${parent.config.stage}": set "from" to an image run.`,
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
async function measureScaleFactor(config: ImageStageConfig, autoencoder: LoadedRun['autoencoder']): Promise<number> {
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

const origin = ({checkpoint, config, step}: LoadedRun): Frozen['parent'] => ({
  path: checkpoint,
  stage: config.stage,
  step,
});
