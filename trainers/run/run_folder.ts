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

export function runFolderAt(folder: string): RunFolder {
  const at = (name: string) => path.join(folder, name);
  return {
    path: folder,
    config: at('config.yaml'),
    log: at('log.jsonl'),
    metrics: at('metrics.jsonl'),
    badSamples: at('bad-samples.jsonl'),
    frozen: at('frozen'),
    checkpoints: at('checkpoints'),
    previews: at('previews'),
    tensorboard: at('tensorboard'),
  };
}

/** @throws UserError if the folder cannot be made or written. */
export function openRunFolder(config: CommonConfig): RunFolder {
  const run = runFolderAt(path.join(config.run.root, config.run.name));
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
