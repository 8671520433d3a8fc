// Which checkpoints stay: the last few, every so many steps, the best by a figure; never the only good one.
import path from 'node:path';
import {UserError} from '../src/platform/user_error.ts';
import {type CheckpointInfo, listCheckpoints, removeCheckpoint} from './folder.ts';
import {verifyCheckpoint} from './read.ts';

export interface KeepRules {
  /** The newest this many, 1 or more. */
  last: number;
  /** Also every checkpoint whose step is a multiple of this. */
  every?: number;
  /** Also the best by a figure of `metrics`. */
  best?: {metric: string; mode: 'min' | 'max'; count: number};
}

/** Names of the checkpoints that the rules let go. The one `latest` names always stays. */
export function doomed(checkpoints: readonly CheckpointInfo[], rules: KeepRules): string[] {
  if (!(rules.last >= 1)) throw new RangeError(`At least the last checkpoint is kept, got last = ${rules.last}.`);
  // By the time of writing: after a run was put back to an earlier step, the highest step is not the newest.
  const good = checkpoints
    .filter(info => info.problem === undefined)
    .sort((a, b) =>
      a.record.createdAt < b.record.createdAt ? 1 : a.record.createdAt > b.record.createdAt ? -1 : b.step - a.step,
    );
  const kept = new Set(good.slice(0, rules.last).map(info => info.name));
  for (const {name, latest, step} of good) {
    if (latest || (rules.every !== undefined && step % rules.every === 0)) kept.add(name);
  }
  if (rules.best) for (const name of best(good, rules.best)) kept.add(name);
  // A damaged one goes as soon as something good is ahead of it; until then it is evidence.
  const furthest = Math.max(-1, ...good.map(info => info.step));
  return checkpoints
    .filter(({name, problem, step}) => (problem === undefined ? !kept.has(name) : step < furthest))
    .map(({name}) => name);
}

/**
 * Removes what the rules let go. Before the first removal one checkpoint that stays is verified whole, unless the caller
 * has just written and verified `knownGood`. Returns the names removed.
 */
export async function prune(folder: string, rules: KeepRules, knownGood?: string): Promise<string[]> {
  const checkpoints = await listCheckpoints(folder);
  const names = doomed(checkpoints, rules);
  if (names.length === 0) return [];
  const staying = checkpoints.filter(({name, problem}) => !names.includes(name) && problem === undefined);
  if (!staying.some(({name}) => name === knownGood) && !(await anyWhole(staying))) {
    throw new UserError(`No checkpoint that would stay in ${folder} is whole, so none was removed.`);
  }
  for (const name of names) await removeCheckpoint(folder, name);
  return names;
}

async function anyWhole(checkpoints: readonly CheckpointInfo[]): Promise<boolean> {
  for (const {path: at} of checkpoints) {
    const whole = await verifyCheckpoint(path.resolve(at)).then(
      () => true,
      (error: unknown) => {
        if (error instanceof UserError) return false;
        throw error;
      },
    );
    if (whole) return true;
  }
  return false;
}

function best(checkpoints: readonly CheckpointInfo[], {metric, mode, count}: NonNullable<KeepRules['best']>): string[] {
  const sign = mode === 'min' ? 1 : -1;
  const scored = checkpoints.flatMap(({name, record}) => {
    const figure = record?.metrics[metric];
    return figure === undefined || Number.isNaN(figure) ? [] : [{name, step: record!.step, score: sign * figure}];
  });
  return scored
    .sort((a, b) => a.score - b.score || a.step - b.step)
    .slice(0, count)
    .map(({name}) => name);
}
