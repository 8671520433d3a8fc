// From any folder of videos to shards of clips. Deterministic: the same files and options give the same shards, whatever
// the order a file system lists them in.
import {readdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {UserError} from '../src/platform/user_error.ts';
import {BadSample} from './bad_sample.ts';
import {digest} from './digest.ts';
import {videoExtensions} from './media.ts';
import {type ClipOptions, type ShardReport, type SourceVideo, shardVideos} from './shard_videos.ts';

export interface ShardFolderOptions extends ClipOptions {
  /** A folder, searched with its subfolders, or the files themselves. */
  input: string | readonly string[];
  /** Held-out videos: a share of the files (chosen by a hash of their names) or the files by name. Default 0. */
  validation?: number | readonly string[];
}

/**
 * Cuts every video of a folder into clips and writes them as shards; a caption is `NAME.txt` beside `NAME.mp4`.
 * Bad files are listed in the report (also `report.json`) and skipped.
 * @throws UserError when there is nothing to read, nothing to decode with, or the output is taken.
 */
export async function shardFolder(options: ShardFolderOptions): Promise<ShardReport> {
  const videos = (await splitFolder(options)).map(found => ({
    ...found,
    about: async () => ({caption: await captionOf(found.file)}),
  }));
  return shardVideos(videos, options, videos.length);
}

/** The videos of a folder, each for training or held out. */
export async function splitFolder({
  input,
  validation = 0,
}: Pick<ShardFolderOptions, 'input' | 'validation'>): Promise<SourceVideo[]> {
  const files = await videoFiles(input);
  const heldOut = heldOutFiles(files, validation);
  return files.map(found => ({...found, heldOut: heldOut.has(found)}));
}

export interface FoundVideo {
  file: string;
  /** Path below the input folder, with forward slashes. */
  relative: string;
}

/** Every video below the input, ordered by name. @throws UserError when there is none. */
export async function videoFiles(input: string | readonly string[]): Promise<FoundVideo[]> {
  const extensions = new Set<string>(videoExtensions);
  const wanted = (name: string) => extensions.has(path.extname(name).slice(1).toLowerCase());
  const found: FoundVideo[] = [];
  for (const place of typeof input === 'string' ? [input] : input) {
    const about = await stat(place).catch(() => undefined);
    if (about === undefined) throw new UserError(`There is no folder or file ${place}.`);
    if (!about.isDirectory()) {
      found.push({file: place, relative: path.basename(place)});
      continue;
    }
    const entries = await readdir(place, {recursive: true, withFileTypes: true});
    for (const entry of entries) {
      if (!entry.isFile() || !wanted(entry.name)) continue;
      const file = path.join(entry.parentPath, entry.name);
      found.push({file, relative: path.relative(place, file).split(path.sep).join('/')});
    }
  }
  if (found.length === 0) {
    throw new UserError(`There is no video in ${input}; files that end in ${videoExtensions.join(', ')} are taken.`);
  }
  const twice = found.find(({relative}, n) => found.findIndex(other => other.relative === relative) !== n);
  if (twice !== undefined)
    throw new UserError(`Two videos are named ${twice.relative}; their clips' keys would be the same.`);
  return found.sort((a, b) => (a.relative < b.relative ? -1 : 1));
}

function heldOutFiles(files: readonly FoundVideo[], validation: number | readonly string[]): Set<FoundVideo> {
  if (typeof validation !== 'number') {
    return new Set(
      validation.map(name => {
        const file = files.find(
          ({relative, file}) => relative === name || file === name || path.basename(file) === name,
        );
        if (file === undefined)
          throw new UserError(`The held-out video ${name} is not among the ${files.length} videos.`);
        return file;
      }),
    );
  }
  if (!(validation >= 0 && validation < 1))
    throw new UserError(`"validation" must be a share from 0 to below 1, found ${validation}.`);
  if (validation === 0 || files.length < 2) return new Set();
  const count = Math.min(files.length - 1, Math.max(1, Math.round(files.length * validation)));
  const byHash = [...files].sort((a, b) => (digest(a.relative) < digest(b.relative) ? -1 : 1));
  return new Set(byHash.slice(0, count));
}

async function captionOf(file: string): Promise<string | undefined> {
  const name = `${file.slice(0, -path.extname(file).length)}.txt`;
  const bytes = await readFile(name).catch(() => undefined); // most videos have none
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch {
    throw new BadSample('badCaption', `Its caption ${path.basename(name)} is not UTF-8 text.`);
  }
}
