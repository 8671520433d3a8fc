// video-ldm inspect PATH
import {existsSync, statSync} from 'node:fs';
import {dirname} from 'node:path';
import type {CommandModule} from 'yargs';

interface InspectArguments {
  path: string;
  sheet?: string;
  limit?: number;
  assume?: 'sd1' | 'sd2' | 'x4-upscaler';
}

export const inspect: CommandModule<object, InspectArguments> = {
  command: 'inspect <path>',
  describe: 'what a run, a checkpoint, models, a configuration or shards hold, and whether they are whole',
  builder: args =>
    args
      .positional('path', {
        type: 'string',
        demandOption: true,
        describe: 'run, checkpoint or model folder, .safetensors file, configuration (.yaml), or shards',
      })
      .option('assume', {
        choices: ['sd1', 'sd2', 'x4-upscaler'] as const,
        describe: 'configurations: the published model that "from" will be, where it is not there',
      })
      .option('sheet', {type: 'string', describe: 'shards: write a contact sheet of the first clips to this PNG'})
      .option('limit', {type: 'number', describe: 'shards: look at this many samples only'})
      .example("$0 inspect 'shards/train-{000000..000003}.tar' --sheet clips.png", 'counts, sizes, bad samples, frames')
      .example('$0 inspect configs/sd2/temporal.yaml --assume sd2', 'parameters and memory, before anything is there'),
  handler: async ({path, sheet, limit, assume}) => {
    if (/\.ya?ml$/.test(path)) return console.log(await ofConfig(path, assume));
    if (/\.safetensors(\.index\.json)?$/.test(path)) {
      const {inspectSafetensors} = await import('../../trainers/reports/inspect_models.ts');
      return console.log(await inspectSafetensors(path));
    }
    if (existsSync(path) && statSync(path).isDirectory()) {
      const {namesModelFolder} = await import('../../trainers/parents/load_models.ts');
      if (namesModelFolder(path)) {
        const {inspectModelFolder} = await import('../../trainers/reports/inspect_models.ts');
        return console.log(await inspectModelFolder(path));
      }
      const {inspectRun} = await import('../../trainers/reports/inspect.ts');
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

async function ofConfig(file: string, assume: InspectArguments['assume']): Promise<string> {
  const [{loadConfig}, {inspectConfig}] = await Promise.all([
    import('../config/load.ts'),
    import('../../trainers/reports/dry_run.ts'),
  ]);
  return inspectConfig(loadConfig(file), {configs: dirname(file), assume});
}
