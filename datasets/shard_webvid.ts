// WebVid's table (videoid, contentUrl, duration, page_dir, name) and its files (page_dir/videoid.mp4) to shards of captioned
// clips. Rows without their file are listed as bad ones.
import {stat} from 'node:fs/promises';
import path from 'node:path';
import {UserError} from '../src/platform/user_error.ts';
import {csvRows} from './csv.ts';
import {digest} from './digest.ts';
import {videoExtensions} from './media.ts';
import {type ClipOptions, type ShardReport, type SourceVideo, shardVideos} from './shard_videos.ts';

export interface ShardWebvidOptions extends ClipOptions {
  /** The table. */
  csv: string;
  /** The folder with page_dir/videoid.mp4 or videoid.mp4. */
  videos: string;
  /** Share of the videos that is held out, chosen by a hash of the videoid. Default 0. */
  validation?: number;
  /** Names of the table's columns, for tables that are not WebVid's own. */
  columns?: TableColumns;
}

export interface TableColumns {
  /** The video: its name without or with its ending. Default `videoid`. */
  id?: string;
  /** Default `name`. */
  caption?: string;
  /** Folder of the video below `videos`. Default `page_dir`. */
  folder?: string;
}

/** @throws UserError when the table cannot be read or lacks a column. */
export async function shardWebvid(options: ShardWebvidOptions): Promise<ShardReport> {
  for (const place of [options.csv, options.videos]) {
    if ((await stat(place).catch(() => undefined)) === undefined) throw new UserError(`There is no ${place}.`);
  }
  return shardVideos(webvidVideos(options), options);
}

async function* webvidVideos(options: ShardWebvidOptions): AsyncGenerator<SourceVideo> {
  const {csv, videos, validation = 0, columns = {}} = options;
  const {id: idColumn = 'videoid', caption: captionColumn = 'name', folder: folderColumn = 'page_dir'} = columns;
  for await (const row of csvRows(csv)) {
    const id = row[idColumn];
    const caption = row[captionColumn];
    const folder = row[folderColumn] ?? '';
    if (id === undefined || caption === undefined) {
      throw new UserError(
        `${csv} must have the columns ${idColumn} and ${captionColumn}; it has ${Object.keys(row).join(', ')}: name them with --id-column and --caption-column.`,
      );
    }
    const named = endings.has(path.extname(id).slice(1).toLowerCase()) ? id : `${id}.mp4`;
    // Both come from a table anyone may have written: they must not lead out of the folder.
    const inFolder = path.join(path.normalize(`/${folder}`), path.basename(named));
    const nested = path.join(videos, inFolder);
    const flat = path.join(videos, path.basename(inFolder));
    const file = (await stat(nested).catch(() => undefined)) === undefined ? flat : nested;
    const own = {[idColumn]: id, [captionColumn]: caption, ...(folder === '' ? {} : {[folderColumn]: folder})};
    yield {
      file,
      relative: named,
      heldOut: share(id) < validation,
      about: async () => ({caption, metadata: () => ({...own, videoid: id})}),
    };
  }
}

const endings: ReadonlySet<string> = new Set(videoExtensions);

/** A number in [0,1) that belongs to the text. */
const share = (text: string): number => Number.parseInt(digest(text).slice(0, 12), 16) / 2 ** 48;
