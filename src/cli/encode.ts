// video-ldm encode SHARDS
import type {CommandModule} from 'yargs';

interface EncodeArguments {
  shards: string[];
  from: string;
  out: string;
  size: number[];
  fps?: number;
  frames: number;
  batch: number;
  text?: boolean;
  workers: number;
  rank?: number;
  ranks?: number;
  'bad-samples': 'skip' | 'stop';
  overwrite: boolean;
  engine: 'auto' | 'torch' | 'node-gpu' | 'wasm' | 'cpu';
  precision: 'fp32' | 'tf32' | 'bf16';
}

export const encode: CommandModule<object, EncodeArguments> = {
  command: 'encode <shards..>',
  describe: 'shards of videos to shards of their latents and text embeddings; run again, it goes on',
  builder: args =>
    args
      .positional('shards', {type: 'string', array: true, demandOption: true, describe: 'paths, braces, addresses'})
      .option('from', {type: 'string', demandOption: true, describe: 'run or model folder with the autoencoder'})
      .option('out', {type: 'string', demandOption: true, describe: 'folder for the shards'})
      .option('size', {type: 'number', nargs: 2, array: true, demandOption: true, describe: 'height width, pixels'})
      .option('fps', {type: 'number', describe: 'frames per second; as stored when absent'})
      .option('frames', {
        type: 'number',
        default: 64,
        describe: 'longer samples are cut into pieces of this many frames',
      })
      .option('batch', {type: 'number', default: 8, describe: 'frames encoded at once'})
      .option('text', {type: 'boolean', describe: 'encode captions too; the default where --from has a text encoder'})
      .option('workers', {type: 'number', default: 1, describe: 'decoding threads'})
      .option('ranks', {
        type: 'number',
        describe: 'share the shards among so many processes of this machine, with a GPU each',
      })
      .option('rank', {type: 'number', describe: 'be this one of --ranks processes, the others started elsewhere'})
      .option('bad-samples', {
        choices: ['skip', 'stop'] as const,
        default: 'skip' as const,
        describe: 'skip lists them',
      })
      .option('overwrite', {type: 'boolean', default: false, describe: 'encode again what is there'})
      .option('engine', {choices: ['auto', 'torch', 'node-gpu', 'wasm', 'cpu'] as const, default: 'auto' as const})
      .option('precision', {choices: ['fp32', 'tf32', 'bf16'] as const, default: 'fp32' as const})
      .example(
        "$0 encode 'shards/train-{000000..000127}.tar' --from runs/autoencoder --out latents --size 320 512",
        'then train with data.train: [latents/train-{000000..000127}.tar]',
      ) as never,
  handler: async args => {
    const {UserError} = await import('../platform/user_error.ts');
    const {takePlace} = await import('./launch.ts');
    const {launched, place} = args.rank === undefined ? await takePlace(args.ranks) : {launched: false};
    if (launched) return;
    const {rank, worldSize: ranks} = place ?? {rank: args.rank ?? 0, worldSize: args.ranks ?? 1};
    const {size, frames, batch, workers} = args;
    const [height = 0, width = 0] = size;
    for (const [name, value, least] of [
      ['size', height, 1],
      ['size', width, 1],
      ['frames', frames, 1],
      ['batch', batch, 1],
      ['workers', workers, 1],
      ['ranks', ranks, 1],
      ['rank', rank, 0],
    ] as const) {
      if (!Number.isInteger(value) || value < least)
        throw new UserError(`--${name} must be a whole number from ${least}, it is ${value}.`);
    }
    if (rank >= ranks) throw new UserError(`--rank must be below --ranks ${ranks}, it is ${rank}.`);
    const {encodeShards} = await import('../../trainers/index.ts');
    const report = await encodeShards({
      ...args,
      rank,
      ranks,
      ...(place === undefined ? {} : {place}),
      height,
      width,
      maxFrames: frames,
      onBadSample: args['bad-samples'],
      onProgress: line => console.log(line),
    });
    const {samples, bad, shards, skipped} = report;
    for (const {shard, key, reason, detail} of bad) console.log(`bad: ${shard} ${key}: ${reason}: ${detail}`);
    console.log(
      `${samples} samples in ${shards} shards (${skipped} were there), ${bad.length} bad, in ${args.out} (report.json); encoder ${report.encoder.slice(0, 12)}`,
    );
  },
};
