// The checkpoint that a run goes on from, and what may have changed since it was written.
import {existsSync} from 'node:fs';
import {
  type ConfigComparison,
  compareConfigs,
  type LoadedState,
  loadCheckpoint,
  loadLatest,
} from '../../checkpoints/index.ts';
import {type StageConfig, type StageName, stageNames, stageSchemas} from '../../src/config/schema.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {comparable, resumeRules} from './resume_rules.ts';
import {type RunFolder, runFolderAt} from './run_folder.ts';
import {asJson} from './train_state.ts';

export type FoundCheckpoint = Awaited<ReturnType<typeof findCheckpoint>>;

/** The latest of the run; or the checkpoint, or the latest of the run folder, that `resume` names. */
export async function findCheckpoint(run: RunFolder, resume: string | undefined) {
  if (resume === undefined) return loadLatest(run.checkpoints);
  const other = runFolderAt(resume);
  if (!existsSync(other.checkpoints)) return {path: resume, state: await loadCheckpoint(resume), skipped: []};
  const found = await loadLatest(other.checkpoints);
  if (!found) throw new UserError(`--resume ${resume}: this run has no checkpoint yet.`);
  return found;
}

/** What changed between the configuration a checkpoint was written with and today's. */
export function changesSince(state: LoadedState, config: StageConfig): ConfigComparison {
  return compareConfigs(comparable(savedConfig(state)), comparable(asJson(config)), resumeRules);
}

/** A checkpoint's configuration with today's default of every option that did not exist when it was written. */
function savedConfig({config, stage}: LoadedState): LoadedState['config'] {
  const schema = stageNames.includes(stage as StageName) ? stageSchemas[stage as StageName] : undefined;
  const parsed = schema?.safeParse(config);
  return parsed?.success ? asJson(parsed.data) : config;
}
