// video-ldm train CONFIG
import path from 'node:path';
import type {CommandModule} from 'yargs';

interface TrainArguments {
  config: string;
  set: string[];
  engine?: string;
  resume?: string;
  ranks?: number;
  log: 'auto' | 'pretty' | 'json';
  'dry-run': boolean;
  data: boolean;
  assume?: 'sd1' | 'sd2' | 'x4-upscaler';
  verbose: boolean;
}

export const train: CommandModule<object, TrainArguments> = {
  command: 'train <config>',
  describe: 'train a stage, or go on with the run of that name',
  builder: args =>
    args
      .positional('config', {type: 'string', demandOption: true, describe: 'YAML file of the stage'})
      .option('set', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'change a value: --set train.steps=500',
      })
      .option('engine', {
        choices: ['auto', 'torch', 'node-gpu', 'wasm', 'cpu'],
        describe: 'short for --set engine.name=...',
      })
      .option('resume', {
        type: 'string',
        describe: "start from this checkpoint, or this run's latest, instead of the run's own latest",
      })
      .option('ranks', {
        type: 'number',
        describe: 'train in so many processes of this machine, with a GPU and batches of its own each (torch engine)',
      })
      .option('log', {
        choices: ['auto', 'pretty', 'json'] as const,
        default: 'auto' as const,
        describe: 'pretty on a terminal, JSON lines otherwise',
      })
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'train nothing: print configuration, parameters and memory needs, and show the first batch',
      })
      .option('data', {
        type: 'boolean',
        default: true,
        describe: 'with --dry-run: --no-data opens no shard',
      })
      .option('assume', {
        choices: ['sd1', 'sd2', 'x4-upscaler'] as const,
        describe: 'with --dry-run: the model that a parent will be which is not imported yet',
      })
      .option('verbose', {type: 'boolean', default: false})
      .example('$0 train configs/tiny/temporal.yaml --set train.steps=500', 'with another number of steps'),
  handler: async args => {
    const {loadConfig} = await import('../config/load.ts');
    const overrides = args.engine ? [...args.set, `engine.name=${args.engine}`] : args.set;
    const config = loadConfig(args.config, overrides);
    if (args['dry-run']) {
      const {dryRun} = await import('../../trainers/reports/dry_run.ts');
      const {data, assume, ranks = 1} = args;
      return console.log(await dryRun(config, {configs: path.dirname(args.config), data, assume, ranks}));
    }
    const {takePlace} = await import('./launch.ts');
    const {launched, place} = await takePlace(args.ranks);
    if (launched) return;
    const {train: run} = await import('../../trainers/index.ts');
    await run(config, {resume: args.resume, stopOnSignals: true, logStyle: args.log, verbose: args.verbose, place});
  },
};
