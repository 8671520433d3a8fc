// What a trainer may ask of the data, and its check: sources with weights, buckets of sizes and lengths, and how clips are cut.
import {type CacheOptions, expandUrls, type HttpOptions} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import type {ClipShape} from './clip_cut.ts';
import type {VideoEngine} from './video/video_reader.ts';

/** Shards that belong together: one part of a mixture. */
export interface SourceConfig {
  /** Paths or addresses, brace-expanded. */
  shards: string | readonly string[];
  /** How often a sample is drawn from here, relative to the other sources' weights. Default 1. */
  weight?: number;
  /** `images` takes one frame of each video as a still image. Default `auto`: stills are images, videos are clips. */
  kind?: 'auto' | 'images';
  /** Instead of `DataConfig.fps`. */
  fps?: number | readonly number[];
  /** The caption of samples that have none. */
  caption?: string;
}

/** Samples of one size and length; a batch is made of one bucket's samples. What is absent is `DataConfig`'s own. */
export interface BucketConfig {
  /** 1 is for still images. */
  frames?: number;
  width?: number;
  height?: number;
  batchSize?: number;
}

export interface DataConfig {
  /** One source: paths or addresses, brace-expanded; or several sources. */
  shards: string | readonly (string | SourceConfig)[];
  /** T: frames of a clip; 1 takes still images, and single frames of videos. */
  frames: number;
  /** Frames per second of a clip; one of several is drawn for each sample; the video's own where undefined. */
  fps?: number | readonly number[];
  width: number;
  height: number;
  batchSize: number;
  /** Instead of the one bucket of `frames`, `width`, `height` and `batchSize`. */
  buckets?: readonly BucketConfig[];
  /**
   * Where the crop of a video of another aspect lies, scaled to the size wanted; `patch` is a window of that size
   * anywhere in the source, unscaled. Default `center`.
   */
  crop?: 'center' | 'random' | 'patch';
  /** Mirror half of the clips. Default false. */
  flip?: boolean;
  /** Samples shuffled together (shards are always shuffled); 0 keeps the order within shards. Default 1000. */
  shuffle?: number;
  /** Go round again at the end. Default true; false gives each sample once and last, smaller batches. */
  repeat?: boolean;
  /** Decoding threads. Data do not depend on it. Default 1. */
  decoders?: number;
  /** Batches decoded ahead. Default 2. */
  prefetch?: number;
  /** Default `stop`: a run that goes on over damaged data was asked to. */
  onBadSample?: 'skip' | 'stop';
  /** Takes latent shards of the encoder with this hash, and no other's; undefined: a stage that needs pixels. */
  latents?: {encoder: string};
  /** Gives the text embeddings of shards that have them, of the text encoder with this hash and no other's. */
  text?: {encoder: string};
  /** Labels read from KEY.json. Default `night` and `crowdedness`. */
  labels?: readonly string[];
  /** `required` makes a sample without KEY.txt a bad one. Default `optional`. */
  captions?: 'optional' | 'required';
  /** Videos and images whose shorter side is less are bad samples. Default 8 pixels. */
  minSide?: number;
  videoEngine?: VideoEngine | 'auto';
  /** Milliseconds a decoder may take for one sample. Default 120,000. */
  decodeTimeoutMs?: number;
  /** Keeps remote shards on local disk. */
  cache?: CacheOptions;
  http?: HttpOptions;
}

export interface Bucket extends ClipShape {
  batchSize: number;
}

export interface ResolvedSource {
  shards: readonly string[];
  weight: number;
  asImages: boolean;
  /** Rates to draw from; empty: the source's own. */
  rates: readonly number[];
  caption: string | undefined;
}

/** The configuration with every default filled in. */
export interface ResolvedData {
  sources: readonly ResolvedSource[];
  buckets: readonly Bucket[];
  crop: 'center' | 'random' | 'patch';
  flip: boolean;
  shuffle: number;
  repeat: boolean;
  decoders: number;
  prefetch: number;
  onBadSample: 'skip' | 'stop';
  latents: {encoder: string} | undefined;
  text: {encoder: string} | undefined;
  labels: readonly string[];
  captions: 'optional' | 'required';
  minSide: number;
  videoEngine: VideoEngine | 'auto';
  decodeTimeoutMs: number;
  /** How remote shards are reached. */
  remote: {cache?: CacheOptions; http?: HttpOptions};
}

/** @throws UserError that names the setting, what was expected and what was found. */
export function resolveData(config: DataConfig): ResolvedData {
  const {decoders = 1, prefetch = 2, shuffle = 1000, minSide = 8, decodeTimeoutMs = 120_000} = config;
  const own = {frames: config.frames, width: config.width, height: config.height, batchSize: config.batchSize};
  const buckets = (config.buckets ?? [{}]).map(bucket => ({...own, ...bucket}));
  if (buckets.length === 0) throw new UserError('Data: "buckets" is empty: leave it out or name one.');
  for (const bucket of [own, ...buckets]) {
    for (const [name, value] of Object.entries(bucket)) requireCount(name, value, 1);
  }
  requireCount('decoders', decoders, 1);
  requireCount('prefetch', prefetch, 0);
  requireCount('shuffle', shuffle, 0);
  const twice = buckets.find((bucket, n) => buckets.findIndex(other => shapeName(other) === shapeName(bucket)) !== n);
  if (twice !== undefined) throw new UserError(`Data: two buckets are ${shapeName(twice)}: leave one out.`);
  return {
    sources: sourcesOf(config),
    buckets,
    crop: config.crop ?? 'center',
    flip: config.flip ?? false,
    shuffle,
    repeat: config.repeat ?? true,
    decoders,
    prefetch,
    onBadSample: config.onBadSample ?? 'stop',
    latents: config.latents,
    text: config.text,
    labels: config.labels ?? ['night', 'crowdedness'],
    captions: config.captions ?? 'optional',
    minSide,
    videoEngine: config.videoEngine ?? 'auto',
    decodeTimeoutMs,
    remote: {
      ...(config.cache === undefined ? {} : {cache: config.cache}),
      ...(config.http === undefined ? {} : {http: config.http}),
    },
  };
}

/** "8 frames of 512x320" */
export function shapeName({frames, width, height}: ClipShape): string {
  return frames === 1 ? `images of ${width}x${height}` : `${frames} frames of ${width}x${height}`;
}

/** Shards given as plain addresses are one source together. */
function sourcesOf({shards, fps}: DataConfig): ResolvedSource[] {
  const list = typeof shards === 'string' ? [shards] : shards;
  const plain = list.filter(entry => typeof entry === 'string');
  const configs: SourceConfig[] = [
    ...(plain.length > 0 ? [{shards: plain}] : []),
    ...list.filter(entry => typeof entry !== 'string'),
  ];
  if (configs.length === 0) throw new UserError('Data: there are no shards: name at least one.');
  return configs.map(({shards: urls, weight = 1, kind = 'auto', fps: rate = fps, caption}) => {
    if (!(weight > 0 && Number.isFinite(weight)))
      throw new UserError(`Data: the "weight" of ${urls} must be a number above 0, found ${weight}.`);
    const rates = rate === undefined ? [] : typeof rate === 'number' ? [rate] : [...rate];
    const bad = rates.find(value => !(value > 0 && value <= 1000));
    if (bad !== undefined) throw new UserError(`Data: "fps" must be above 0 and at most 1000, found ${bad}.`);
    return {shards: expandUrls(urls), weight, asImages: kind === 'images', rates, caption};
  });
}

function requireCount(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new UserError(`Data: "${name}" must be a whole number from ${least}, found ${value}.`);
}

/** Which part of the data a process reads. */
export interface DataPart {
  seed: number;
  rank: number;
  worldSize: number;
}

/** @throws UserError */
export function resolvePart({seed, rank = 0, worldSize = 1}: Partial<DataPart> & {seed: number}): DataPart {
  requireCount('worldSize', worldSize, 1);
  if (!Number.isInteger(rank) || rank < 0 || rank >= worldSize)
    throw new UserError(`Data: "rank" must be from 0 to ${worldSize - 1}, found ${rank}.`);
  requireCount('seed', seed, 0);
  return {seed, rank, worldSize};
}
