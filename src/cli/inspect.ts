// video-ldm inspect PATH
import {existsSync, statSync} from 'node:fs';
import type {CommandModule} from 'yargs';

interface InspectArguments {
  path: string;
  sheet?: string;
  limit?: number;
}

export const inspect: CommandModule<object, InspectArguments> = {
  command: 'inspect <path>',
  describe: 'what a run, a checkpoint or shards hold, and whether they are whole',
  builder: args =>
    args
      .positional('path', {type: 'string', demandOption: true, describe: 'run folder, checkpoint folder, or shards'})
      .option('sheet', {type: 'string', describe: 'shards: write a contact sheet of the first clips to this PNG'})
      .option('limit', {type: 'number', describe: 'shards: look at this many samples only'})
      .example(
        "$0 inspect 'shards/train-{000000..000003}.tar' --sheet clips.png",
        'counts, sizes, bad samples, frames',
      ),
  handler: async ({path, sheet, limit}) => {
    if (existsSync(path) && statSync(path).isDirectory()) {
      const {inspectRun} = await import('../../trainers/inspect.ts');
      return console.log(await inspectRun(path));
    }
    const {inspectShards} = await import('../../datasets/index.ts');
    const report = await inspectShards({
      shards: path,
      ...(sheet === undefined ? {} : {sheet}),
      ...(limit === undefined ? {} : {limit}),
    });
    const {bad, ...figures} = report;
    console.log(JSON.stringify(figures, undefined, 2));
    for (const {shard, key, reason, detail} of bad) console.log(`bad: ${shard} ${key}: ${reason}: ${detail}`);
  },
};
