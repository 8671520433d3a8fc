// video-ldm sample RUN|PIPELINE.yaml
import type {CommandModule} from 'yargs';

interface SampleArguments {
  run?: string;
  like?: string;
  out: string;
  count?: number;
  seed?: number;
  format?: 'mp4' | 'webm' | 'webp' | 'gif' | 'png';
  weights?: 'ema' | 'raw';
  engine: 'auto' | 'torch' | 'node-gpu' | 'wasm' | 'cpu';
  prompt?: string;
  promptFile?: string;
  negativePrompt?: string;
  label?: string[];
  boxes?: string;
  image?: string;
  frames?: number;
  size?: number[];
  fps?: number;
  interpolate?: number;
  sampler?: 'ddim' | 'euler' | 'dpmpp_2m';
  steps?: number;
  guidance?: number;
  contextGuidance?: number;
  window?: number;
  upsampleSteps?: number;
  noiseLevel?: number;
  memory?: number;
}

/** Options that mean nothing without a value. */
const valued = [
  ...['like', 'out', 'count', 'seed', 'prompt', 'prompt-file', 'negative-prompt', 'label', 'boxes', 'image', 'frames'],
  ...['size', 'fps', 'interpolate', 'steps', 'guidance', 'context-guidance', 'window', 'upsample-steps', 'noise-level'],
  'memory',
];

export const sample: CommandModule<object, SampleArguments> = {
  command: 'sample [run]',
  describe: 'sample videos (or images) from a run, a checkpoint, imported models, or a whole pipeline',
  builder: args =>
    args
      .positional('run', {type: 'string', describe: "run or checkpoint folder, imported models, or a pipeline's .yaml"})
      .option('like', {type: 'string', describe: 'a video made by this command, to make again'})
      .option('out', {type: 'string', default: 'samples', describe: 'folder for the videos and the contact sheet'})
      .option('count', {type: 'number', describe: 'videos: samples 0, 1, .. of the seed (default 1)'})
      .option('seed', {type: 'number', describe: 'default 0'})
      .option('prompt', {type: 'string'})
      .option('prompt-file', {type: 'string', describe: 'a file whose text is the prompt'})
      .option('negative-prompt', {type: 'string'})
      .option('label', {type: 'string', array: true, describe: 'NAME=VALUE, several times'})
      .option('boxes', {
        type: 'string',
        describe: 'JSON file: [{"class": .., "corners": [left, top, right, bottom]}, ..]',
      })
      .option('image', {type: 'string', describe: 'first frame, for pipelines with a prediction model'})
      .option('frames', {type: 'number', describe: 'before interpolation; as trained when absent'})
      .option('size', {type: 'number', array: true, nargs: 2, describe: 'HEIGHT WIDTH; as trained when absent'})
      .option('fps', {type: 'number', describe: 'before interpolation; as trained when absent'})
      .option('interpolate', {type: 'number', describe: '0, 1 or 2 times fourfold (default: 2 where there is a model)'})
      .option('sampler', {choices: ['ddim', 'euler', 'dpmpp_2m'] as const, describe: 'default ddim'})
      .option('steps', {type: 'number', describe: 'sampler steps (default 50)'})
      .option('guidance', {type: 'number', describe: 'classifier-free guidance scale'})
      .option('context-guidance', {type: 'number', describe: 'scale of guidance towards given frames'})
      .option('window', {type: 'number', describe: 'frames that attention over time sees on either side'})
      .option('upsample-steps', {type: 'number', describe: 'sampler steps of the upsampler'})
      .option('noise-level', {type: 'number', describe: "of the upsampler's low-resolution input"})
      .option('memory', {type: 'number', describe: 'MiB that decoding may take (default 4096)'})
      .option('format', {
        choices: ['mp4', 'webm', 'webp', 'gif', 'png'] as const,
        describe: 'png is a folder of frames',
      })
      .option('weights', {choices: ['ema', 'raw'] as const})
      .option('engine', {choices: ['auto', 'torch', 'node-gpu', 'wasm', 'cpu'] as const, default: 'auto' as const})
      .requiresArg(valued)
      .example('$0 sample runs/tiny-temporal --count 4 --seed 7', 'four videos that seed 7 always gives')
      .example('$0 sample pipeline.yaml --prompt "a red car" --out cars', 'a whole pipeline')
      .example('$0 sample --like cars/sample-0-0000.mp4 --out again', 'the same video once more'),
  handler: async args => {
    const [{sampleRun}, {promptOf, labelsOf, boxesOf}, {stopSampling}, {shareOnTerminal}] = await Promise.all([
      import('../../trainers/sampling/sample.ts'),
      import('../../trainers/sampling/arguments.ts'),
      import('../../trainers/sampling/stop.ts'),
      import('../../trainers/sampling/progress.ts'),
    ]);
    const {run, like, out, count, seed, format, weights, engine} = args;
    const {image, frames, size, fps, interpolate, sampler, steps, guidance, contextGuidance, window} = args;
    const {negativePrompt, upsampleSteps, noiseLevel, memory} = args;
    const progress = shareOnTerminal();
    const stop = stopSampling();
    try {
      await sampleRun({
        ...{run, like, out, count, seed, format, weights, engine},
        sampling: {
          prompt: promptOf(args),
          labels: labelsOf(args.label),
          boxes: boxesOf(args.boxes),
          ...{image, frames, fps, interpolate, sampler, steps, guidance, contextGuidance, window},
          ...{negativePrompt, upsampleSteps, noiseLevel, memory},
          ...(size ? {size: [size[0]!, size[1]!]} : {}),
        },
        onProgress: progress.line,
        onShare: progress.share,
        signal: stop.signal,
      });
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      progress.line('stopped: the videos written so far are whole.');
      process.exitCode = 130;
    } finally {
      progress.end();
      stop.release();
    }
  },
};
