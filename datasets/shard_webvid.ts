// WebVid's table (videoid, contentUrl, duration, page_dir, name) and its files (page_dir/videoid.mp4) to shards of captioned
// clips. Rows without their file are listed as bad ones.
import {stat} from 'node:fs/promises';
import path from 'node:path';
import {UserError} from '../src/platform/user_error.ts';
import {csvRows} from './csv.ts';
import {digest} from './digest.ts';
import {type ClipOptions, type ShardReport, type SourceVideo, shardVideos} from './shard_videos.ts';

export interface ShardWebvidOptions extends ClipOptions {
  /** The table. */
  csv: string;
  /** The folder with page_dir/videoid.mp4 or videoid.mp4. */
  videos: string;
  /** Share of the videos that is held out, chosen by a hash of the videoid. Default 0. */
  validation?: number;
}

/** @throws UserError when the table cannot be read or lacks a column. */
export async function shardWebvid(options: ShardWebvidOptions): Promise<ShardReport> {
  for (const place of [options.csv, options.videos]) {
    if ((await stat(place).catch(() => undefined)) === undefined) throw new UserError(`There is no ${place}.`);
  }
  return shardVideos(webvidVideos(options), options);
}

async function* webvidVideos({csv, videos, validation = 0}: ShardWebvidOptions): AsyncGenerator<SourceVideo> {
  for await (const row of csvRows(csv)) {
    const {videoid, name, page_dir = ''} = row;
    if (videoid === undefined || name === undefined) {
      throw new UserError(`${csv} must have the columns videoid and name; it has ${Object.keys(row).join(', ')}.`);
    }
    // Both come from a table anyone may have written: they must not lead out of the folder.
    const inFolder = path.join(path.normalize(`/${page_dir}`), path.basename(`${videoid}.mp4`));
    const nested = path.join(videos, inFolder);
    const flat = path.join(videos, path.basename(inFolder));
    const file = (await stat(nested).catch(() => undefined)) === undefined ? flat : nested;
    yield {
      file,
      relative: `${videoid}.mp4`,
      heldOut: share(videoid) < validation,
      about: async () => ({caption: name, metadata: () => ({videoid, name, page_dir})}),
    };
  }
}

/** A number in [0,1) that belongs to the text. */
const share = (text: string): number => Number.parseInt(digest(text).slice(0, 12), 16) / 2 ** 48;
