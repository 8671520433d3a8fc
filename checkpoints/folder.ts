// The folder of a run's checkpoints: what its entries are called, which one `latest` names, and what it holds.
import {open, readdir, readFile, rename, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {UserError} from '../src/platform/user_error.ts';
import {errorCode, explained, fileError} from '../src/weights/file_errors.ts';
import {type CheckpointFs, realFs, writeText} from './fs.ts';
import {decodeStateRecord, MAX_STATE_JSON_BYTES, type StateRecord} from './state_json.ts';

/** `step-000001000`, or `step-000001000-2` for a second checkpoint of the same step. */
const NAME = /^step-(\d{9,16})(?:-(\d+))?$/;
/** Being written, or being removed: never looked at, cleaned when a run starts. */
export const UNFINISHED = /^\.(writing|removing)-/;

export function checkpointName(step: number, attempt: number): string {
  const name = `step-${String(step).padStart(9, '0')}`;
  return attempt === 1 ? name : `${name}-${attempt}`;
}

/** Step and attempt of a checkpoint's name; undefined for other entries. */
export function parseCheckpointName(name: string): {step: number; attempt: number} | undefined {
  const found = NAME.exec(name);
  return found ? {step: Number(found[1]), attempt: Number(found[2] ?? 1)} : undefined;
}

/** Names of the finished checkpoints, highest step first; none where the folder is not there. */
export async function checkpointNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw fileError(error, 'read the checkpoints in', folder);
  });
  const places = entries.flatMap(name => {
    const place = parseCheckpointName(name);
    return place ? [{name, ...place}] : [];
  });
  return places.sort((a, b) => b.step - a.step || b.attempt - a.attempt).map(({name}) => name);
}

/** What `latest` names; undefined where it is missing or unreadable. It may name what is not there. */
export async function readLatest(folder: string): Promise<string | undefined> {
  const text = await readFile(path.join(folder, 'latest'), 'utf8').catch(() => '');
  const name = text.trim();
  return parseCheckpointName(name) ? name : undefined;
}

/** Moves `latest` in one rename. */
export async function writeLatest(folder: string, name: string, fs: CheckpointFs = realFs): Promise<void> {
  const temporary = path.join(folder, '.latest');
  await writeText(temporary, `${name}\n`, fs);
  await fs.rename(temporary, path.join(folder, 'latest'));
  await syncFolder(folder);
}

/** Flushes a folder's entries to disk; file systems that cannot are left alone. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(errorCode(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

/** Removes a checkpoint: renamed first, so that a kill half-way leaves no torn one under a good name. */
export async function removeCheckpoint(folder: string, name: string): Promise<void> {
  const doomed = path.join(folder, `.removing-${name}`);
  await explained('remove', path.join(folder, name), async () => {
    await rm(doomed, {recursive: true, force: true});
    await rename(path.join(folder, name), doomed);
    await rm(doomed, {recursive: true, force: true});
  });
}

/** Removes what a killed process left half-written or half-removed. Only for the holder of the run's lock. */
export async function removeUnfinished(folder: string): Promise<void> {
  const entries = await readdir(folder).catch(() => []);
  for (const entry of entries.filter(name => UNFINISHED.test(name))) {
    await rm(path.join(folder, entry), {recursive: true, force: true});
  }
}

export async function readStateRecord(checkpoint: string): Promise<StateRecord> {
  const file = path.join(checkpoint, 'state.json');
  const text = await explained('read', file, async () => {
    const {size} = await stat(file);
    if (size > MAX_STATE_JSON_BYTES)
      throw new UserError(`${file} has ${size} bytes; at most ${MAX_STATE_JSON_BYTES} are read.`);
    return readFile(file, 'utf8');
  });
  return decodeStateRecord(text, file);
}

/** What a listing tells of a checkpoint. `problem` says why it cannot be used, as far as can be told without reading it whole. */
export type CheckpointInfo = {name: string; path: string; step: number; latest: boolean} & (
  | {record: StateRecord; bytes: number; problem?: undefined}
  | {record?: undefined; problem: string}
);

/** The checkpoints in a folder, highest step first, without reading their tensors. */
export async function listCheckpoints(folder: string): Promise<CheckpointInfo[]> {
  const latest = await readLatest(folder);
  const infos: CheckpointInfo[] = [];
  for (const name of await checkpointNames(folder)) {
    const at = path.join(folder, name);
    const common = {name, path: at, step: parseCheckpointName(name)!.step, latest: name === latest};
    try {
      const record = await readStateRecord(at);
      await checkSizes(at, record);
      const bytes = Object.values(record.files).reduce((sum, file) => sum + file.bytes, 0);
      infos.push({...common, record, bytes});
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      infos.push({...common, problem: error.message});
    }
  }
  return infos;
}

/** @throws UserError for a file that is missing or of another size than `state.json` says. */
export async function checkSizes(checkpoint: string, record: StateRecord): Promise<void> {
  for (const [name, {bytes}] of Object.entries(record.files)) {
    const file = path.join(checkpoint, name);
    const {size} = await explained('read', file, () => stat(file));
    if (size !== bytes) throw new UserError(`${file} has ${size} bytes, ${bytes} were written: it is torn.`);
  }
}
