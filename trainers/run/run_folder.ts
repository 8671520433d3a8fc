// The folder of a run: what lies where, and that it can be written before anything is computed.
import {accessSync, constants, mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {stringify} from 'yaml';
import type {CommonConfig} from '../../src/config/schema.ts';
import {UserError} from '../../src/platform/user_error.ts';

export interface RunFolder {
  readonly path: string;
  /** The resolved configuration, as YAML. */
  readonly config: string;
  readonly log: string;
  readonly metrics: string;
  readonly badSamples: string;
  /** Weights that this run reads but never changes, copied once so that the run needs no other folder. */
  readonly frozen: string;
  readonly checkpoints: string;
  readonly previews: string;
  /** TensorBoard's event files. */
  readonly tensorboard: string;
}

/** @param rank of several that train the run: each but the first has logs of its own. */
export function runFolderAt(folder: string, rank = 0): RunFolder {
  const at = (name: string) => path.join(folder, name);
  const own = (stem: string) => at(rank === 0 ? `${stem}.jsonl` : `${stem}.rank-${rank}.jsonl`);
  return {
    path: folder,
    config: at('config.yaml'),
    log: own('log'),
    metrics: at('metrics.jsonl'),
    badSamples: own('bad-samples'),
    frozen: at('frozen'),
    checkpoints: at('checkpoints'),
    previews: at('previews'),
    tensorboard: at('tensorboard'),
  };
}

/** Of the run of this configuration. */
export function folderOf({run}: Pick<CommonConfig, 'run'>): string {
  return path.join(run.root, run.name);
}

/** @throws UserError if the folder cannot be made or written. */
export function openRunFolder(config: CommonConfig): RunFolder {
  const run = runFolderAt(folderOf(config));
  try {
    for (const folder of [run.path, run.checkpoints]) mkdirSync(folder, {recursive: true});
    accessSync(run.path, constants.W_OK | constants.X_OK);
    writeFileSync(run.config, stringify(config));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UserError(
      `The run folder ${run.path} cannot be written (${code}): free the path, mend its permissions or change run.root.`,
    );
  }
  return run;
}
