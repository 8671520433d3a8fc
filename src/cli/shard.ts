// video-ldm shard folder|webvid|rds
import type {Argv, CommandModule} from 'yargs';
import type {ShardReport, VideoFilters} from '../../datasets/index.ts';

interface ClipArguments {
  out: string;
  frames: number;
  size: number[];
  fps: number;
  stride?: number;
  limit?: number;
  overwrite: boolean;
  seed: number;
  'clips-per-shard': number;
  workers?: number;
  shots: boolean;
  'min-size'?: number[];
  'min-fps'?: number;
  'min-seconds'?: number;
  'max-seconds'?: number;
  codec: 'auto' | 'mp4' | 'webm' | 'webp';
  'video-engine': 'auto' | 'node-av' | 'ffmpeg';
}

/** The options that every source shares. */
function clipOptions(args: Argv<object>): Argv<ClipArguments> {
  return args
    .option('out', {type: 'string', demandOption: true, describe: 'folder for the shards'})
    .option('frames', {type: 'number', default: 16, describe: 'frames of a clip'})
    .option('size', {type: 'number', nargs: 2, array: true, default: [256, 256], describe: 'height width'})
    .option('fps', {type: 'number', default: 8, describe: 'frames per second of the clips'})
    .option('stride', {
      type: 'number',
      describe: "frames from one clip's start to the next one's; --frames when absent",
    })
    .option('limit', {type: 'number', describe: 'at most this many clips of a video'})
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'replace shards of an earlier run; else an unfinished one goes on',
    })
    .option('clips-per-shard', {type: 'number', default: 1000})
    .option('workers', {type: 'number', describe: 'threads; one a core when absent. The shards are the same'})
    .option('shots', {type: 'boolean', default: true, describe: 'find cuts and let no clip run over one'})
    .option('min-size', {type: 'number', nargs: 2, array: true, describe: 'height width of the smallest video taken'})
    .option('min-fps', {type: 'number', describe: 'of the slowest video taken'})
    .option('min-seconds', {type: 'number', describe: 'of the shortest video taken'})
    .option('max-seconds', {type: 'number', describe: 'of the longest video taken'})
    .option('codec', {choices: ['auto', 'mp4', 'webm', 'webp'] as const, default: 'auto' as const})
    .option('video-engine', {choices: ['auto', 'node-av', 'ffmpeg'] as const, default: 'auto' as const})
    .option('seed', {type: 'number', default: 0, describe: 'of the camera'}) as Argv<ClipArguments>;
}

async function clipsWanted(args: ClipArguments) {
  const {UserError} = await import('../platform/user_error.ts');
  const [height, width] = args.size;
  if (height === undefined || width === undefined) throw new UserError('--size takes two numbers: height and width.');
  return {
    output: args.out,
    frames: args.frames,
    fps: args.fps,
    height,
    width,
    ...(args.stride === undefined ? {} : {stride: args.stride}),
    ...(args.limit === undefined ? {} : {maxClipsPerVideo: args.limit}),
    overwrite: args.overwrite,
    seed: args.seed,
    clipsPerShard: args['clips-per-shard'],
    ...(args.workers === undefined ? {} : {workers: args.workers}),
    shots: args.shots,
    filters: filtersOf(args),
    codec: args.codec,
    videoEngine: args['video-engine'],
    onProgress: ({
      video,
      done,
      total,
      clips,
    }: {
      video: string;
      done: number;
      total?: number | undefined;
      clips: number;
    }) => console.log(`${done}${total === undefined ? '' : `/${total}`} ${video}: ${clips} clips so far`),
  };
}

function filtersOf(args: ClipArguments): VideoFilters {
  const [minHeight, minWidth] = args['min-size'] ?? [];
  return {
    ...(minHeight === undefined ? {} : {minHeight}),
    ...(minWidth === undefined ? {} : {minWidth}),
    ...(args['min-fps'] === undefined ? {} : {minFps: args['min-fps']}),
    ...(args['min-seconds'] === undefined ? {} : {minDuration: args['min-seconds']}),
    ...(args['max-seconds'] === undefined ? {} : {maxDuration: args['max-seconds']}),
  };
}

function say({bad, filtered, clips, codec, videos, duration}: ShardReport, out: string): void {
  for (const {source, why} of filtered) console.log(`left out: ${source}: ${why}`);
  for (const {source, detail, clipsKept} of bad) console.log(`bad: ${source}: ${detail} (${clipsKept} clips kept)`);
  console.log(
    `${clips.train} clips for training and ${clips.validation} held out (${(duration / 60).toFixed(1)} minutes) of ${videos} videos, ${bad.length} of them bad and ${filtered.length} left out, as ${codec}, in ${out} (report.json)`,
  );
}

interface FolderArguments extends ClipArguments {
  path: string[];
  validation: string[];
  camera: boolean;
  pan?: number;
}

/** Files by name, or a share of the files. */
function heldOut(validation: readonly string[]): number | readonly string[] {
  const share = validation.length === 1 ? Number(validation[0]) : Number.NaN;
  return Number.isNaN(share) ? validation : share;
}

const validationOption = {
  type: 'string',
  array: true,
  nargs: 1,
  default: [] as string[],
  describe: 'hold this file out (or a share of the files: 0.05)',
} as const;
const pathArgument = {type: 'string', array: true, demandOption: true, describe: 'folders or files'} as const;

const folder: CommandModule<object, FolderArguments> = {
  command: 'folder <path..>',
  describe: 'any folder of videos, or video files',
  builder: args =>
    clipOptions(args)
      .positional('path', pathArgument)
      .option('validation', validationOption)
      .option('camera', {
        type: 'boolean',
        default: false,
        describe: 'a crop window that slowly moves, for still scenes',
      })
      .option('pan', {type: 'number', describe: "the camera's longest way over a clip, as a share of its window"})
      .example('$0 shard folder my-videos --out shards --frames 8 --size 64 64 --fps 8', 'clips of a second, 64x64'),
  handler: async args => {
    const {shardFolder} = await import('../../datasets/index.ts');
    const camera = args.pan === undefined ? args.camera : {pan: args.pan};
    const input = args.path.length === 1 ? args.path[0]! : args.path;
    say(
      await shardFolder({...(await clipsWanted(args)), input, validation: heldOut(args.validation), camera}),
      args.out,
    );
  },
};

interface TableArguments extends ClipArguments {
  csv: string;
  videos: string;
  share: number;
  'id-column': string;
  'caption-column': string;
  'folder-column': string;
}

const webvid: CommandModule<object, TableArguments> = {
  command: 'webvid <csv> <videos>',
  describe: 'a CSV table of videos and captions (WebVid, or another by its columns) and the folder of its files',
  builder: args =>
    clipOptions(args)
      .positional('csv', {type: 'string', demandOption: true})
      .positional('videos', {type: 'string', demandOption: true, describe: 'folder with page_dir/videoid.mp4'})
      .option('share', {type: 'number', default: 0, describe: 'share of the videos that is held out'})
      .option('id-column', {type: 'string', default: 'videoid', describe: 'names the file, with or without .mp4'})
      .option('caption-column', {type: 'string', default: 'name'})
      .option('folder-column', {
        type: 'string',
        default: 'page_dir',
        describe: 'folder of the file, where there is one',
      }),
  handler: async args => {
    const {shardWebvid} = await import('../../datasets/index.ts');
    const {csv, videos, share} = args;
    const columns = {id: args['id-column'], caption: args['caption-column'], folder: args['folder-column']};
    say(await shardWebvid({...(await clipsWanted(args)), csv, videos, validation: share, columns}), args.out);
  },
};

const rds: CommandModule<object, ClipArguments & {path: string[]; validation: string[]}> = {
  command: 'rds <path..>',
  describe: 'driving scenes: videos, each with NAME.json = {fps, night, crowdedness, boxes}',
  builder: args => clipOptions(args).positional('path', pathArgument).option('validation', validationOption),
  handler: async args => {
    const {shardRds} = await import('../../datasets/index.ts');
    const input = args.path.length === 1 ? args.path[0]! : args.path;
    say(await shardRds({...(await clipsWanted(args)), input, validation: heldOut(args.validation)}), args.out);
  },
};

export const shard: CommandModule<object, object> = {
  command: 'shard <source>',
  describe: 'write WebDataset shards from videos',
  builder: args =>
    args.command(folder).command(webvid).command(rds).demandCommand(1, 'Name a source: folder, webvid or rds.'),
  handler: () => undefined,
};
