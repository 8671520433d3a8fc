// How far an unfinished sharding is: `progress.json` in its folder, written after each whole shard.
import {existsSync, readFileSync, statSync} from 'node:fs';
import {rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {WrittenShard} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import type {BadFile, FilteredFile} from './shard_videos.ts';

/** Training and validation shards are filled independently. */
export type ShardPart = 'train' | 'validation';

export interface PartProgress {
  /** The video that the next shard's first clip is of: its number in the list, and its name. */
  video: number;
  relative: string;
  /** The first clip of it that is in no shard yet. */
  clip: number;
  shards: WrittenShard[];
  bad: BadFile[];
  filtered: FilteredFile[];
}

interface ProgressFile {
  version: 1;
  /** Hash of what decides the shards' bytes. */
  options: string;
  parts: Partial<Record<ShardPart, PartProgress>>;
}

const fileIn = (folder: string) => path.join(folder, 'progress.json');

/**
 * What an earlier try finished; nothing where there was none.
 * @throws UserError when it had other options, or its shards are not what they were.
 */
export function readProgress(folder: string, options: string): ProgressFile['parts'] {
  const file = fileIn(folder);
  if (!existsSync(file)) return {};
  let saved: Partial<ProgressFile>;
  try {
    saved = JSON.parse(readFileSync(file, 'utf8')) as Partial<ProgressFile>;
  } catch {
    throw new UserError(`${file} is damaged: remove it and the shards beside it, or use --overwrite.`);
  }
  if (saved.version !== 1 || saved.options !== options || saved.parts === undefined) {
    throw new UserError(
      `${folder} holds shards of an unfinished try with other options: use the same ones to go on, --overwrite to begin anew, or another folder.`,
    );
  }
  for (const {shards} of Object.values(saved.parts)) {
    const other = shards.find(({path: shard, bytes}) => !existsSync(shard) || statSync(shard).size !== bytes);
    if (other) throw new UserError(`${other.path} is not the shard that was written: use --overwrite to begin anew.`);
  }
  return saved.parts;
}

export async function writeProgress(folder: string, options: string, parts: ProgressFile['parts']): Promise<void> {
  await writeAtomically(fileIn(folder), JSON.stringify({version: 1, options, parts} satisfies ProgressFile));
}

export async function removeProgress(folder: string): Promise<void> {
  await rm(fileIn(folder), {force: true});
}

export async function writeAtomically(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, text, {flush: true});
  await rename(temporary, file);
}
