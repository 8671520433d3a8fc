// video-ldm sample RUN
import type {CommandModule} from 'yargs';

interface SampleArguments {
  run: string;
  out: string;
  count: number;
  frames?: number;
  steps: number;
  seed: number;
  fps?: number;
  engine: 'auto' | 'torch' | 'node-gpu' | 'wasm' | 'cpu';
  weights: 'ema' | 'raw';
}

export const sample: CommandModule<object, SampleArguments> = {
  command: 'sample <run>',
  describe: 'sample videos (or images) from a run or one of its checkpoints',
  builder: args =>
    args
      .positional('run', {type: 'string', demandOption: true, describe: 'run folder, or a checkpoint folder in it'})
      .option('out', {type: 'string', default: 'samples', describe: 'folder for the videos and the contact sheet'})
      .option('count', {type: 'number', default: 4})
      .option('frames', {type: 'number', describe: 'as trained when absent'})
      .option('steps', {type: 'number', default: 50, describe: 'sampler steps (DDIM)'})
      .option('seed', {type: 'number', default: 0})
      .option('fps', {type: 'number', describe: 'of the file; as trained when absent'})
      .option('weights', {choices: ['ema', 'raw'] as const, default: 'ema' as const})
      .option('engine', {choices: ['auto', 'torch', 'node-gpu', 'wasm', 'cpu'] as const, default: 'auto' as const})
      .example('$0 sample runs/tiny-temporal --count 4 --seed 7', 'four videos that seed 7 always gives'),
  handler: async args => {
    const {sampleRun} = await import('../../trainers/sample.ts');
    await sampleRun(args);
  },
};
