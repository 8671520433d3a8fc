// Sampling from a run or a whole pipeline: videos in files, what made each beside it and inside it, a contact sheet.
import {accessSync, constants, mkdirSync, statSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {type Frames, readStillImage, writeContactSheet, writeVideo} from '../../datasets/index.ts';
import {
  loadPipeline,
  mergeSampling,
  type PipelineParts,
  type Sampling,
  type SamplingInput,
} from '../../src/config/pipeline.ts';
import {type EngineName, openEngine} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {duration} from '../run/logging.ts';
import {buildModels} from './build_models.ts';
import {conditionsOf, type HostPipeline, type PartName, readParts, refuseUselessConditions} from './host_parts.ts';
import {makeVideo, planVideo, type VideoPlan} from './make_video.ts';
import {asComment, besideOf, type Parameters, readParameters} from './parameters.ts';

export const videoFormats = ['mp4', 'webm', 'webp', 'gif', 'png'] as const;
export type VideoFormat = (typeof videoFormats)[number];

export interface SampleRunOptions {
  /** A run folder, a checkpoint folder in it, a folder of imported models, or a pipeline's YAML file. */
  run?: string | undefined;
  /** A video (or the JSON beside it) to make again; `sampling` and `seed` given here take the place of its own. */
  like?: string | undefined;
  /** Folder for the files. */
  out: string;
  /** Videos to make: samples 0 .. count-1 of the seed. 1 with `like`. */
  count?: number | undefined;
  seed?: number | undefined;
  /** Over those of the pipeline. */
  sampling?: Partial<SamplingInput>;
  /** Default mp4, for images webp. */
  format?: VideoFormat | undefined;
  weights?: 'ema' | 'raw' | undefined;
  /** The same networks with their initial weights: what any figure is to be compared with. */
  untrained?: boolean;
  engine: EngineName | 'auto';
  /** Lines to read. */
  onProgress?: (line: string) => void;
  /** Share of all the work that is done, with the seconds left. */
  onShare?: (share: {part: string; done: number; secondsLeft: number}) => void;
  onVideo?: (video: Frames, index: number) => void;
  /** Stops between two steps; files are there whole or not at all. */
  signal?: AbortSignal;
}

interface Request {
  readonly parts: PipelineParts;
  readonly sampling: Sampling;
  readonly seed: number;
  readonly first: number;
  readonly count: number;
  readonly weights: 'ema' | 'raw';
}

/** Samples and writes videos; returns their paths. The same seed gives the same bytes on one engine. */
export async function sampleRun(options: SampleRunOptions): Promise<{files: string[]; sheet: string}> {
  const {out, onProgress = console.log, onShare, onVideo, signal} = options;
  const request = requestOf(options);
  const {sampling, seed, first, count} = request;
  const host = await readParts(request.parts, request.weights);
  refuseUselessConditions(
    sampling,
    Object.values(host).map(part => part && conditionsOf(part)?.config),
  );
  makeFolder(out);
  const engine = await openEngine(options.engine);
  const models = buildModels(host, sampling, options.untrained ? seed : undefined);
  try {
    const plan = planVideo(models, sampling);
    const image =
      sampling.image === undefined ? undefined : await startImage(sampling.image, plan, models.autoencoder.factor);
    const format = options.format ?? (options.like && formatOf(options.like)) ?? (plan.still ? 'webp' : 'mp4');
    const files: string[] = [];
    const rows: Frames[] = [];
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      const index = first + i;
      const video = await makeVideo(models, sampling, plan, {
        seed,
        index,
        image,
        giveBack: engine.giveBack,
        onProgress: (part, share) => {
          const done = (i + share) / count;
          const seconds = (performance.now() - start) / 1000;
          onShare?.({part, done, secondsLeft: (seconds * (1 - done)) / Math.max(done, 1e-9)});
        },
        ...(signal ? {signal} : {}),
      });
      const [frames, height, width] = video.shape;
      const parameters: Parameters = {
        format: 1,
        parts: checkpointsOf(host),
        sampling,
        seed,
        index,
        weights: request.weights,
        engine: engine.describe(),
        made: {frames, height, width, fps: plan.fps},
      };
      files.push(
        await store(
          path.join(out, `sample-${seed}-${String(index).padStart(4, '0')}.${format}`),
          video,
          parameters,
          onProgress,
        ),
      );
      onVideo?.(video, index);
      if (rows.length < SHEET_ROWS) rows.push(someFrames(video));
      const each = (performance.now() - start) / 1000 / (i + 1);
      onProgress(
        `${i + 1}/${count} ${files.at(-1)} (${each.toFixed(1)} s each, ${duration(each * (count - i - 1))} left)`,
      );
    }
    const sheet = await writeContactSheet(
      path.join(out, 'contact-sheet.png'),
      rows.map(frames => ({frames})),
    );
    onProgress(`contact sheet: ${sheet}`);
    return {files, sheet};
  } finally {
    models.dispose();
  }
}

/** What is asked for: a pipeline's file, one run, or what made another video. @throws UserError for what cannot be. */
function requestOf({run, like, seed, count, sampling: own = {}, weights}: SampleRunOptions): Request {
  if ((run === undefined) === (like === undefined))
    throw new UserError('Name either a run (or a pipeline file) to sample from, or a video to make again with --like.');
  checkWhole('count', count, 1);
  checkWhole('seed', seed, 0);
  if (like !== undefined) {
    if (count !== undefined && count !== 1) throw new UserError('--like makes one video again: leave --count out.');
    const made = readParameters(like);
    return {
      parts: made.parts,
      sampling: mergeSampling(made.sampling, own),
      seed: seed ?? made.seed,
      first: made.index,
      count: 1,
      weights: weights ?? made.weights,
    };
  }
  const isFile = /\.ya?ml$/.test(run!);
  const {
    pipeline: _,
    sampling,
    ...parts
  } = isFile ? loadPipeline(run!) : {pipeline: 'video', sampling: {}, keyFrames: run!};
  return {
    parts,
    sampling: mergeSampling(sampling, own),
    seed: seed ?? 0,
    first: 0,
    count: count ?? 1,
    weights: weights ?? 'ema',
  };
}

/** A video is made again in its own format; the JSON beside it does not tell. */
function formatOf(video: string): VideoFormat | undefined {
  const ending = path.extname(video).slice(1).toLowerCase();
  return ending === '' ? 'png' : videoFormats.find(format => format === ending);
}

function checkWhole(name: string, value: number | undefined, least: number): void {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < least))
    throw new UserError(`--${name} must be a whole number from ${least}, it is ${value}.`);
}

/** The video with what made it inside, then the same beside it. */
async function store(
  file: string,
  video: Frames,
  parameters: Parameters,
  note: (line: string) => void,
): Promise<string> {
  const written = await writeVideo(file, video, parameters.made.fps, {onNote: note, comment: asComment(parameters)});
  writeFileSync(besideOf(written), `${JSON.stringify(parameters, undefined, 2)}\n`);
  return written;
}

async function startImage(file: string, {latentSize: [h, w]}: VideoPlan, factor: number): Promise<Uint8Array> {
  return readStillImage(file, {height: h * factor, width: w * factor});
}

const SHEET_ROWS = 16;
const SHEET_COLUMNS = 16;

/** The frames that a contact sheet shows, so that long videos are not kept. */
function someFrames({data, shape: [count, height, width]}: Frames): Frames {
  const shown = Math.min(SHEET_COLUMNS, count);
  const size = height * width * 3;
  const chosen = new Uint8Array(shown * size);
  for (let n = 0; n < shown; n++) {
    const at = shown === 1 ? 0 : Math.round((n * (count - 1)) / (shown - 1));
    chosen.set(data.subarray(at * size, (at + 1) * size), n * size);
  }
  return {data: chosen, shape: [shown, height, width, 3]};
}

function checkpointsOf(host: HostPipeline): Parameters['parts'] {
  const found = Object.entries(host).flatMap(([name, part]) => (part ? [[name as PartName, part.checkpoint]] : []));
  return Object.fromEntries(found) as Parameters['parts'];
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, {recursive: true});
    if (!statSync(folder).isDirectory()) throw Object.assign(new Error(), {code: 'ENOTDIR'});
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UserError(
      `The folder ${folder} cannot be written (${error instanceof Error && 'code' in error ? error.code : error}): choose another --out.`,
    );
  }
}
