// What a run reads and never changes: frozen when it began, from its parent, and found again whenever it goes on.
import {existsSync} from 'node:fs';
import path from 'node:path';
import type {StageConfig} from '../../src/config/schema.ts';
import type {Group} from '../../src/engine/index.ts';
import {fromRankZero} from '../ranks/agree.ts';
import {type RunFolder, runFolderAt} from '../run/run_folder.ts';
import {type Frozen, readFrozen, writeFrozen} from './frozen.ts';
import {freezeParent} from './parent.ts';

/** What the run reads and never changes: as frozen before, or frozen now; the other ranks read what rank 0 has written. */
export async function frozenOfRun(
  config: StageConfig,
  run: RunFolder,
  resume: string | undefined,
  group: Group,
): Promise<Frozen | undefined> {
  const frozen = group.rank === 0 ? ((await findFrozen(run, resume)) ?? (await freeze(config, run))) : undefined;
  await fromRankZero(group, () => '');
  return group.rank === 0 ? frozen : readFrozen(run.frozen);
}

async function freeze(config: StageConfig, run: RunFolder): Promise<Frozen | undefined> {
  const frozen = await freezeParent(config);
  if (frozen) await writeFrozen(run.frozen, frozen);
  return frozen;
}

/** What the run froze, or, where it is resumed from another run's checkpoint, what that one did. */
async function findFrozen(run: RunFolder, resume: string | undefined) {
  const own = await readFrozen(run.frozen);
  if (own || resume === undefined) return own;
  const folder = existsSync(runFolderAt(resume).checkpoints)
    ? resume
    : path.dirname(path.dirname(path.resolve(resume)));
  const frozen = await readFrozen(runFolderAt(folder).frozen);
  if (frozen) await writeFrozen(run.frozen, frozen);
  return frozen;
}
