// video-ldm shard folder PATH
import type {CommandModule} from 'yargs';

interface ShardArguments {
  path: string[];
  out: string;
  frames: number;
  size: number[];
  fps?: number;
  limit?: number;
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
      .option('fps', {type: 'number', describe: 'frames per second of the clips; as the video when absent'})
      .option('limit', {type: 'number', describe: 'at most this many clips of a video'})
      .option('seed', {type: 'number', default: 0})
      .example('$0 shard folder my-videos --out shards --frames 8 --size 64 64 --fps 8', 'clips of one second, 64x64'),
  handler: async args => {
    const {shardVideos} = await import('./shard_videos.ts');
    await shardVideos(args);
  },
};

export const shard: CommandModule<object, object> = {
  command: 'shard <source>',
  describe: 'write WebDataset shards from videos',
  builder: args => args.command(folder).demandCommand(1, 'Name a source: folder.'),
  handler: () => undefined,
};
