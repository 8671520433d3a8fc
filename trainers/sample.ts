// Sampling from a run: its models, the videos in files, a contact sheet, and what made them beside them.
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {type Frames, writeContactSheet, writeVideo} from '../datasets/index.ts';
import {makeSchedule} from '../src/diffusion/index.ts';
import {type EngineName, openEngine} from '../src/engine/index.ts';
import {AutoencoderKL, UNet} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import {decodeLatents, sampleLatents} from '../src/sampling/index.ts';
import {allocateExactly, buildAutoencoder} from './frozen.ts';
import {loadRun, needAutoencoder} from './load_run.ts';

export interface SampleRunOptions {
  /** Run folder, or a checkpoint folder in it. */
  run: string;
  /** Folder for the files. */
  out: string;
  count: number;
  /** As trained when absent; an image model gives one frame. */
  frames?: number | undefined;
  /** Sampler steps. */
  steps: number;
  seed: number;
  /** Of the files; as trained when absent. */
  fps?: number | undefined;
  weights: 'ema' | 'raw';
  /** The same networks with their initial weights: what any figure is to be compared with. */
  untrained?: boolean;
  engine: EngineName | 'auto';
  onProgress?: (line: string) => void;
}

/** Samples and writes videos; returns their paths. The same seed gives the same frames on one engine. */
export async function sampleRun(
  options: SampleRunOptions,
): Promise<{files: string[]; sheet: string; videos: Frames[]}> {
  const {run, out, count, steps, seed, onProgress = console.log} = options;
  for (const [name, value] of Object.entries({
    count,
    steps,
    ...(options.frames === undefined ? {} : {frames: options.frames}),
  })) {
    if (!Number.isInteger(value) || value < 1)
      throw new UserError(`--${name} must be a whole number from 1, it is ${value}.`);
  }
  const loaded = await loadRun(run, options.weights);
  const {unet: weights, diffusion, scaleFactor, config} = loaded;
  if (!weights || !diffusion || scaleFactor === undefined) {
    throw new UserError(`${run} is an autoencoder: sample from a run of stage image or temporal.`);
  }
  const isVideo = weights.config.temporal !== undefined;
  if (!isVideo && options.frames !== undefined)
    throw new UserError(`${run} is an image model: --frames is for video models.`);
  const frames = isVideo ? (options.frames ?? config.data.frames) : undefined;
  makeFolder(out);
  const engine = await openEngine(options.engine);
  const unet = options.untrained
    ? new UNet(weights.config).allocate(seed)
    : allocateExactly(new UNet(weights.config), weights.weights, 'model');
  const autoencoder = options.untrained
    ? new AutoencoderKL(needAutoencoder(loaded).config).allocate(seed)
    : buildAutoencoder({autoencoder: needAutoencoder(loaded)});
  const [height, width] = config.data.size;
  const latentSize = [height / autoencoder.factor, width / autoencoder.factor] as const;
  const schedule = makeSchedule(diffusion.schedule);
  const fps = options.fps ?? config.data.fps ?? 8;

  const files: string[] = [];
  const videos: Frames[] = [];
  const start = performance.now();
  for (let index = 0; index < count; index++) {
    const latents = await sampleLatents(
      {unet, schedule, prediction: diffusion.prediction},
      {frames, latentSize, steps, seed, index},
    );
    const video = await decodeLatents(autoencoder, latents, scaleFactor);
    latents.dispose();
    videos.push(video);
    const file = path.join(
      out,
      `sample-${seed}-${String(index).padStart(4, '0')}.${frames === undefined ? 'webp' : 'mp4'}`,
    );
    files.push(await writeVideo(file, video, fps, {onNote: onProgress}));
    const each = (performance.now() - start) / 1000 / (index + 1);
    onProgress(
      `${index + 1}/${count} ${files.at(-1)} (${each.toFixed(1)} s each, ${Math.round(each * (count - index - 1))} s left)`,
    );
  }
  const sheet = await writeContactSheet(
    path.join(out, 'contact-sheet.png'),
    videos.map(video => ({frames: video})),
  );
  const made = {
    checkpoint: loaded.checkpoint,
    step: loaded.step,
    weights: options.weights,
    engine: engine.describe(),
    frames,
    size: config.data.size,
    steps,
    seed,
    count,
    fps,
    files,
  };
  writeFileSync(path.join(out, 'samples.json'), `${JSON.stringify(made, undefined, 2)}\n`);
  onProgress(`contact sheet: ${sheet}`);
  unet.dispose();
  autoencoder.dispose();
  return {files, sheet, videos};
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, {recursive: true});
  } catch (error) {
    throw new UserError(
      `The folder ${folder} cannot be made (${error instanceof Error && 'code' in error ? error.code : error}): choose another --out.`,
    );
  }
}
