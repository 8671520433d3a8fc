// video-ldm inspect PATH
import type {CommandModule} from 'yargs';

export const inspect: CommandModule<object, {path: string}> = {
  command: 'inspect <path>',
  describe: 'what a run or a checkpoint holds: step, weights, figures, whether its files are whole',
  builder: args =>
    args.positional('path', {type: 'string', demandOption: true, describe: 'run folder or checkpoint folder'}),
  handler: async ({path}) => {
    const {inspectRun} = await import('../../trainers/inspect.ts');
    console.log(await inspectRun(path));
  },
};
