// What a run reads and never changes: the weights and settings of its parent, copied into the run's own folder before the
// first step, so that a run needs no other folder to go on. Written and verified as a checkpoint is.
import {type LoadedState, loadLatest, type NamedTensors, writeCheckpoint} from '../checkpoints/index.ts';
import type {TemporalStageConfig} from '../src/config/schema.ts';
import type {Prediction, ScheduleConfig} from '../src/diffusion/index.ts';
import type {Block, WeightSpec} from '../src/layers/block.ts';
import {
  type AutoencoderConfig,
  AutoencoderKL,
  type TemporalConfig,
  UNet,
  type UNetConfig,
} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import * as tf from '../src/tf.ts';

type Weights = NamedTensors<Float32Array>;

export interface DiffusionSettings {
  readonly schedule: ScheduleConfig;
  readonly prediction: Prediction;
}

export interface Frozen {
  /** Where it came from: folder, step and SHA-256 of the weights. */
  readonly parent: {readonly path: string; readonly stage: string; readonly step: number};
  readonly autoencoder: {readonly config: AutoencoderConfig; readonly weights: Weights};
  /** latents = rawLatents x this. */
  readonly scaleFactor: number;
  /** The image model, where the stage starts from one. */
  readonly unet?: {readonly config: UNetConfig; readonly weights: Weights};
  readonly diffusion: DiffusionSettings;
}

/** The settings beside the weights, as `state.json` keeps them. */
interface FrozenSettings {
  parent: Frozen['parent'];
  autoencoder: AutoencoderConfig;
  scaleFactor: number;
  unet?: UNetConfig;
  diffusion: DiffusionSettings;
}

export async function writeFrozen(folder: string, frozen: Frozen): Promise<void> {
  const {parent, autoencoder, scaleFactor, unet, diffusion} = frozen;
  const settings: FrozenSettings = {
    parent,
    autoencoder: autoencoder.config,
    scaleFactor,
    diffusion,
    ...(unet ? {unet: unet.config} : {}),
  };
  const state: LoadedState = {
    stage: 'frozen',
    step: 0,
    weights: unet?.weights ?? new Map(),
    companions: {autoencoder: autoencoder.weights},
    optimizers: {},
    data: null,
    metrics: {},
    config: JSON.parse(JSON.stringify(settings)) as LoadedState['config'],
    engine: {},
  };
  await writeCheckpoint(folder, state);
}

/** What `writeFrozen` wrote; undefined where nothing was. @throws UserError where it is damaged. */
export async function readFrozen(folder: string): Promise<Frozen | undefined> {
  const found = await loadLatest(folder);
  if (!found) return undefined;
  const {weights, companions, config} = found.state;
  // Its hash was checked: this is what writeFrozen put there.
  const {parent, autoencoder, scaleFactor, unet, diffusion} = config as object as FrozenSettings;
  return {
    parent,
    autoencoder: {config: autoencoder, weights: companions?.autoencoder ?? new Map()},
    scaleFactor,
    diffusion,
    ...(unet ? {unet: {config: unet, weights}} : {}),
  };
}

export function needFrozen(frozen: Frozen | undefined): Frozen {
  if (!frozen) throw new Error('This stage has a parent, whose weights were not loaded.');
  return frozen;
}

/** The frozen autoencoder, allocated. */
export function buildAutoencoder({autoencoder: {config, weights}}: Pick<Frozen, 'autoencoder'>): AutoencoderKL {
  const autoencoder = new AutoencoderKL(config);
  autoencoder.trainable = false;
  return allocateExactly(autoencoder, weights, 'autoencoder');
}

/** The image model's UNet with temporal layers interleaved: spatial weights from the parent, temporal ones new. */
export function buildVideoUNet(
  {unet}: Frozen,
  temporal: TemporalStageConfig['temporal'],
  {seed, frames}: {seed: number; frames: number},
): UNet {
  if (!unet)
    throw new UserError(
      'The temporal stage starts from an image model, but its parent has none: set "from" to an image run.',
    );
  const video = new UNet({...unet.config, temporal: temporalConfig(temporal, frames)}).allocate(seed);
  return allocateExactly(video, unet.weights, 'image model', spec => spec.part === 'spatial');
}

/** The layers' own configuration: one alpha per frame needs to know how many frames there are. */
export function temporalConfig({alpha, ...rest}: TemporalStageConfig['temporal'], frames: number): TemporalConfig {
  return {...rest, alpha: {...alpha, ...(alpha.per === 'frame' ? {frames} : {})}};
}

/**
 * Gives a model the weights of a file: all that `wanted` names, no more and no fewer.
 * @throws UserError listing what is missing, unexpected or of another shape.
 */
export function allocateExactly<B extends Block>(
  model: B,
  weights: Weights,
  label: string,
  wanted: (spec: WeightSpec) => boolean = () => true,
): B {
  const specs = model.weightSpecs().filter(wanted);
  const paths = new Set(specs.map(spec => spec.path));
  const problems = [
    ...specs.filter(({path}) => !weights.has(path)).map(({path}) => `${path} is missing`),
    ...[...weights.keys()].filter(path => !paths.has(path)).map(path => `${path} is not expected`),
    ...specs.flatMap(({path, shape}) => {
      const found = weights.get(path)?.shape;
      return found && found.join() !== shape.join() ? [`${path} is [${found}], expected [${shape}]`] : [];
    }),
  ];
  if (problems.length > 0) {
    const more = problems.length > 3 ? ` and ${problems.length - 3} more` : '';
    throw new UserError(
      `The weights of the ${label} do not fit its configuration: ${problems.slice(0, 3).join('; ')}${more}.`,
    );
  }
  return model.allocateFrom(({path}) => {
    const found = weights.get(path);
    return found && tf.tensor(found.data, [...found.shape], 'float32');
  });
}
