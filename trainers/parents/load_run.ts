// A run folder (or one checkpoint in it) as models.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {type LoadedState, loadCheckpoint, loadLatest} from '../../checkpoints/index.ts';
import type {StageConfig} from '../../src/config/schema.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {CONDITIONS_PREFIX} from '../inputs/conditions.ts';
import {runFolderAt} from '../run/run_folder.ts';
import {type Frozen, lineageOf, readFrozen} from './frozen.ts';
import {type LoadedModels, loadModelFolder, namesModelFolder} from './load_models.ts';
import {partsOfNone, trainedNetwork} from './networks.ts';
import type {HostModel, Parts, Weights} from './parts.ts';

/** All networks of a run with all their weights, trained and frozen. */
export interface LoadedRun extends LoadedModels {
  readonly config: StageConfig;
}

/** The models that `from` names: a run, one of its checkpoints, or a model folder. @throws UserError where there are none. */
export async function loadParent(from: string): Promise<LoadedModels> {
  return namesModelFolder(from) ? loadModelFolder(from) : loadRun(from);
}

/** The models of a run, a checkpoint or a model folder, with the averaged weights or the trained ones. */
export async function loadModels(where: string, which: 'ema' | 'raw' = 'ema'): Promise<LoadedModels> {
  return namesModelFolder(where) ? loadModelFolder(where) : loadRun(where, which);
}

/** The same with zeros for all weights, of which only names and shapes are read: for counting. */
export async function loadParentShapes(from: string): Promise<LoadedModels> {
  const models = namesModelFolder(from)
    ? await loadModelFolder(from, {values: false})
    : await loadRun(from, 'ema', {values: false});
  return {...models, scaleFactor: models.scaleFactor ?? models.autoencoder?.config.scaleFactor ?? 1};
}

/**
 * Reads a run's latest whole checkpoint, or the one that `where` names.
 * @param which the averaged weights (what one samples from), or the trained ones
 * @param options.values false: zeros under the names and shapes of the weights, which are not read
 * @throws UserError where there is no run or nothing whole in it.
 */
export async function loadRun(
  where: string,
  which: 'ema' | 'raw' = 'ema',
  {values = true}: {values?: boolean} = {},
): Promise<LoadedRun> {
  const isCheckpoint = existsSync(path.join(where, 'state.json'));
  const folder = isCheckpoint ? path.dirname(path.dirname(path.resolve(where))) : where;
  const run = runFolderAt(folder);
  if (!existsSync(run.checkpoints))
    throw new UserError(
      `There is no run at ${where}: expected a run folder, one of its checkpoints, or a folder of imported models; train the stage it names first.`,
    );
  const parts = ['weights', 'ema'] as const;
  const found = isCheckpoint
    ? {path: where, state: await loadCheckpoint(where, {parts, values})}
    : await loadLatest(run.checkpoints, {parts, values});
  if (!found) throw new UserError(`The run ${where} has no checkpoint yet: train it first.`);
  const {state} = found;
  const trained = (which === 'ema' ? state.ema : undefined) ?? state.weights;
  const frozen = await readFrozen(run.frozen, {values});
  const common = {path: folder, checkpoint: found.path, step: state.step, stage: state.stage};
  return {...common, lineage: lineageOf(frozen), ...contents(state, trained, frozen)};
}

/** The checkpoint was written by this code and its hash checked: its configuration is one that the schema accepted. */
function contents(state: LoadedState, trained: Weights, frozen: Frozen | undefined): Parts & {config: StageConfig} {
  const config = state.config as object as StageConfig;
  if (!frozen && 'from' in config && config.from !== undefined)
    throw new UserError(
      `The run ${config.run.name} lacks its folder "frozen", without which its weights are not whole: restore it.`,
    );
  const parts: Parts = frozen ?? partsOfNone(config);
  const {name, config: network} = trainedNetwork(config, parts);
  // What trains lies over what the parent brought.
  const over = (part: HostModel<unknown> | undefined, own: Weights) => new Map([...(part?.weights ?? []), ...own]);
  const {own, conditions} = apart(trained);
  return {
    ...parts,
    config,
    [name]: {config: network, weights: over(parts[name], own)},
    conditions: parts.conditions && {...parts.conditions, weights: over(parts.conditions, conditions)},
  };
}

/** The trained weights of the network, and those of its conditions. */
function apart(trained: Weights): {own: Weights; conditions: Weights} {
  const isCondition = (name: string) => name.startsWith(CONDITIONS_PREFIX);
  const entries = [...trained];
  const conditions = entries.filter(([name]) => isCondition(name));
  return {
    own: new Map(entries.filter(([name]) => !isCondition(name))),
    conditions: new Map(conditions.map(([name, values]) => [name.slice(CONDITIONS_PREFIX.length), values])),
  };
}
