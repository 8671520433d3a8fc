// video-ldm shard folder PATH
import type {CommandModule} from 'yargs';

interface ShardArguments {
  path: string[];
  out: string;
  frames: number;
  size: number[];
  fps: number;
  validation: string[];
  stride?: number;
  limit?: number;
  camera: boolean;
  pan?: number;
  overwrite: boolean;
  seed: number;
}

const folder: CommandModule<object, ShardArguments> = {
  command: 'folder <path..>',
  describe: 'any folder of videos, or video files',
  builder: args =>
    args
      .positional('path', {type: 'string', array: true, demandOption: true, describe: 'folders or files'})
      .option('out', {type: 'string', demandOption: true, describe: 'folder for the shards'})
      .option('frames', {type: 'number', default: 16, describe: 'frames of a clip'})
      .option('size', {type: 'number', nargs: 2, array: true, default: [256, 256], describe: 'height width'})
      .option('fps', {type: 'number', default: 8, describe: 'frames per second of the clips'})
      .option('validation', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'hold this file out (or a share of the files: 0.05)',
      })
      .option('stride', {
        type: 'number',
        describe: "frames from one clip's start to the next one's; as many as a clip has when absent",
      })
      .option('limit', {type: 'number', describe: 'at most this many clips of a video'})
      .option('camera', {
        type: 'boolean',
        default: false,
        describe: 'a crop window that slowly moves and zooms, for still scenes',
      })
      .option('pan', {type: 'number', describe: "the camera's longest way over a clip, as a share of its window"})
      .option('overwrite', {type: 'boolean', default: false, describe: 'replace shards of an earlier run'})
      .option('seed', {type: 'number', default: 0, describe: 'of the camera'})
      .example('$0 shard folder my-videos --out shards --frames 8 --size 64 64 --fps 8', 'clips of one second, 64x64'),
  handler: async args => {
    const {shardFolder} = await import('../../datasets/index.ts');
    const {UserError} = await import('../platform/user_error.ts');
    const [height, width] = args.size;
    if (height === undefined || width === undefined) throw new UserError('--size takes two numbers: height and width.');
    const share = args.validation.length === 1 ? Number(args.validation[0]) : Number.NaN;
    const report = await shardFolder({
      input: args.path.length === 1 ? args.path[0]! : args.path,
      output: args.out,
      frames: args.frames,
      fps: args.fps,
      width,
      height,
      validation: Number.isNaN(share) ? args.validation : share,
      ...(args.stride === undefined ? {} : {stride: args.stride}),
      ...(args.limit === undefined ? {} : {maxClipsPerVideo: args.limit}),
      ...(args.camera || args.pan !== undefined ? {camera: args.pan === undefined ? true : {pan: args.pan}} : {}),
      overwrite: args.overwrite,
      seed: args.seed,
      onProgress: ({video, done, total, clips}) => console.log(`${done}/${total} ${video}: ${clips} clips so far`),
    });
    for (const {source, detail, clipsKept} of report.bad)
      console.log(`bad: ${source}: ${detail} (${clipsKept} clips kept)`);
    const {train, validation} = report.clips;
    console.log(
      `${train} clips for training and ${validation} held out, as ${report.codec}, in ${args.out} (report.json)`,
    );
  },
};

export const shard: CommandModule<object, object> = {
  command: 'shard <source>',
  describe: 'write WebDataset shards from videos',
  builder: args => args.command(folder).demandCommand(1, 'Name a source: folder.'),
  handler: () => undefined,
};
