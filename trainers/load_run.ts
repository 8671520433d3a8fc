// A run folder (or one checkpoint in it) as models: what a later stage starts from and what is sampled.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {type LoadedState, loadCheckpoint, loadLatest, type NamedTensors} from '../checkpoints/index.ts';
import type {StageConfig} from '../src/config/schema.ts';
import type {AutoencoderConfig, UNetConfig} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import {type Frozen, readFrozen, temporalConfig} from './frozen.ts';
import {runFolderAt} from './run_folder.ts';

type Weights = NamedTensors<Float32Array>;

export interface LoadedRun {
  readonly path: string;
  readonly checkpoint: string;
  readonly step: number;
  readonly config: StageConfig;
  readonly autoencoder: {readonly config: AutoencoderConfig; readonly weights: Weights};
  /** The diffusion model, for stages from `image` on, with all its weights. */
  readonly unet?: {readonly config: UNetConfig; readonly weights: Weights};
  readonly diffusion?: Frozen['diffusion'];
  /** Known from the `image` stage on. */
  readonly scaleFactor?: number;
}

/**
 * Reads a run's latest whole checkpoint, or the one that `where` names.
 * @param which the averaged weights (what one samples from), or the trained ones
 * @throws UserError where there is no run or nothing whole in it.
 */
export async function loadRun(where: string, which: 'ema' | 'raw' = 'ema'): Promise<LoadedRun> {
  const isCheckpoint = existsSync(path.join(where, 'state.json'));
  const folder = isCheckpoint ? path.dirname(path.dirname(path.resolve(where))) : where;
  const run = runFolderAt(folder);
  if (!existsSync(run.checkpoints))
    throw new UserError(
      `There is no run at ${where}: expected a run folder or one of its checkpoints; train the stage it names first.`,
    );
  const parts = ['weights', 'ema'] as const;
  const found = isCheckpoint
    ? {path: where, state: await loadCheckpoint(where, {parts})}
    : await loadLatest(run.checkpoints, {parts});
  if (!found) throw new UserError(`The run ${where} has no checkpoint yet: train it first.`);
  const {state} = found;
  const trained = (which === 'ema' ? state.ema : undefined) ?? state.weights;
  const common = {path: folder, checkpoint: found.path, step: state.step};
  return {...common, ...contents(state, trained, await readFrozen(run.frozen))};
}

/** The checkpoint was written by this code and its hash checked: its configuration is one that the schema accepted. */
function contents(
  state: LoadedState,
  trained: Weights,
  frozen: Frozen | undefined,
): Omit<LoadedRun, 'path' | 'checkpoint' | 'step'> {
  const config = state.config as object as StageConfig;
  if (config.stage === 'autoencoder') return {config, autoencoder: {config: config.autoencoder, weights: trained}};
  if (!frozen)
    throw new UserError(
      `The run ${config.run.name} lacks its folder "frozen", without which its weights are not whole: restore it.`,
    );
  const {autoencoder, diffusion, scaleFactor} = frozen;
  const common = {config, autoencoder, diffusion, scaleFactor};
  if (config.stage === 'image') return {...common, unet: {config: config.unet, weights: trained}};
  const unet = {...frozen.unet!.config, temporal: temporalConfig(config.temporal, config.data.frames)};
  return {...common, unet: {config: unet, weights: new Map([...frozen.unet!.weights, ...trained])}};
}
