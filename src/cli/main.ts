#!/usr/bin/env node
// The command line. It only names commands and options; each command loads what it needs when it runs, so that --help
// answers at once.
import yargs from 'yargs';
import {hideBin} from 'yargs/helpers';
import {addCommands} from './commands.ts';
import {reportFailure} from './failure.ts';

const program = yargs(hideBin(process.argv))
  .scriptName('video-ldm')
  .usage('$0 <command>\n\nTrain, resume, sample and export latent video diffusion models.')
  .option('verbose', {type: 'boolean', default: false, global: true, describe: 'stack traces and debug logs'})
  .strict()
  .recommendCommands()
  .demandCommand(1, 'Name a command.')
  .wrap(Math.min(120, process.stdout.columns ?? 100))
  .example('$0 train configs/tiny/autoencoder.yaml', 'train, or resume, the run that the file describes')
  .example('$0 sample runs/tiny-temporal --count 4', 'sample four videos')
  .example('$0 doctor', 'what this machine can run, and what to install')
  .fail((message, error) => reportFailure(error ?? new Error(message), message ? 'usage' : 'command'));

await addCommands(program).parseAsync();
