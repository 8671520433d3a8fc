// Videos to WebDataset shards of short clips: KEY.mp4, KEY.json and, where there is one, KEY.txt. What a clip's caption and
// metadata are is told by whoever lists the videos (a folder, WebVid's table, RDS's labels).
import {mkdir, rename, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {type JsonValue, openShardWriter, type ShardWriter, type WrittenShard} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import {type BadReason, BadSample} from './bad_sample.ts';
import {type CameraOptions, cameraPath, defaultCamera, resampleWindow} from './camera.ts';
import {type ClipCodec, type ClipEncoder, openClipEncoder} from './clip_file.ts';
import {digest} from './digest.ts';
import {coverCrop} from './video/geometry.ts';
import {type Crop, openVideoReader, type VideoEngine, type VideoInfo, type VideoReader} from './video/video_reader.ts';

export interface ClipOptions {
  /** The folder the shards go to: train-000000.tar, validation-000000.tar, report.json. */
  output: string;
  /** Frames of a stored clip, frames per second, and size. */
  frames: number;
  fps: number;
  width: number;
  height: number;
  /** Frames (at `fps`) from one clip's first to the next one's; by default `frames`: clips touch. */
  stride?: number;
  maxClipsPerVideo?: number;
  /** The part of the source that is taken; by default the largest centred one of the wanted aspect. */
  crop?: Crop;
  /** A crop window that slowly moves and zooms, for still scenes; `true` takes the defaults. Not with `crop`. */
  camera?: boolean | Partial<CameraOptions>;
  /** Default `auto`; see `openClipEncoder`. */
  codec?: ClipCodec | 'auto';
  /** For the camera. Default 0. */
  seed?: number;
  clipsPerShard?: number;
  videoEngine?: VideoEngine | 'auto';
  /** Replace shards of an earlier run. Default false. */
  overwrite?: boolean;
  /** Called after each video; `total` where it is known beforehand. */
  onProgress?: (progress: {video: string; done: number; total: number | undefined; clips: number}) => void;
  signal?: AbortSignal;
}

/** Where a clip lies in its source. */
export interface ClipPlace {
  /** Seconds after the video's first frame. */
  start: number;
  /** Pixels of the source. */
  crop: Crop;
  source: VideoInfo;
}

export interface SourceVideo {
  /** Path to open. */
  file: string;
  /** What names the video in keys, metadata and reports: its path below the input folder, or its identifier. */
  relative: string;
  /** Whether its clips are for validation. */
  heldOut: boolean;
  /** @throws BadSample when they are there but cannot be used. */
  about?: () => Promise<{caption?: string | undefined; metadata?: (clip: ClipPlace) => {[key: string]: JsonValue}}>;
}

/** A video that could not be used, or only up to its damage. */
export interface BadFile {
  source: string;
  reason: BadReason;
  detail: string;
  /** Clips that were written before the damage was met. */
  clipsKept: number;
}

export interface ShardReport {
  codec: ClipCodec;
  engine: VideoEngine;
  videos: number;
  train: WrittenShard[];
  validation: WrittenShard[];
  clips: {train: number; validation: number};
  /** Seconds of clips written. */
  duration: number;
  bad: BadFile[];
}

/**
 * Cuts the videos into clips and writes them as shards, in the order given.
 * Bad files are listed in the report (also `report.json`) and skipped.
 * @throws UserError when nothing could be used, there is nothing to decode with, or the output is taken.
 */
export async function shardVideos(
  videos: Iterable<SourceVideo> | AsyncIterable<SourceVideo>,
  options: ClipOptions,
  total?: number,
): Promise<ShardReport> {
  checkOptions(options);
  const reader = await openVideoReader(options.videoEngine);
  const encoder = await openClipEncoder(options.codec, options.videoEngine);
  await mkdir(options.output, {recursive: true});
  const open = (name: string) =>
    openShardWriter({
      path: path.join(options.output, `${name}-%06d.tar`),
      maxCount: options.clipsPerShard ?? 1000,
      overwrite: options.overwrite ?? false,
    });
  const writers = {train: open('train'), validation: open('validation')};
  const clips = {train: 0, validation: 0};
  const bad: BadFile[] = [];
  let done = 0;
  try {
    for await (const video of videos) {
      options.signal?.throwIfAborted();
      const part = video.heldOut ? 'validation' : 'train';
      let kept = 0;
      try {
        for await (const sample of clipsOf(video, options, reader, encoder)) {
          await writers[part].write(sample);
          kept++;
        }
      } catch (error) {
        if (!(error instanceof BadSample)) throw error;
        bad.push({source: video.relative, reason: error.reason, detail: error.message, clipsKept: kept});
      }
      clips[part] += kept;
      done++;
      options.onProgress?.({video: video.relative, done, total, clips: clips.train + clips.validation});
    }
    if (clips.train + clips.validation === 0) {
      const why = bad[0] === undefined ? '' : ` The first one: ${bad[0].source}: ${bad[0].detail}`;
      throw new UserError(
        `None of the ${done} videos gave a clip of ${options.frames} frames at ${options.fps} fps.${why}`,
      );
    }
    const [train, validation] = [await writers.train.close(), await writers.validation.close()];
    const duration = ((clips.train + clips.validation) * options.frames) / options.fps;
    const shared = {codec: encoder.codec, engine: reader.name, videos: done};
    const report: ShardReport = {...shared, train, validation, clips, duration, bad};
    await writeAtomically(path.join(options.output, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    return report;
  } catch (error) {
    await Promise.all(Object.values(writers).map((writer: ShardWriter) => writer.abort()));
    throw error;
  }
}

function checkOptions({frames, fps, width, height, stride, crop, camera}: ClipOptions): void {
  for (const [name, value] of Object.entries({frames, width, height, stride: stride ?? 1})) {
    if (!Number.isInteger(value) || value < 1)
      throw new UserError(`"${name}" must be a whole number from 1, found ${value}.`);
  }
  if (!(fps > 0) || fps > 1000) throw new UserError(`"fps" must be a number above 0, at most 1000, found ${fps}.`);
  if (crop !== undefined && camera)
    throw new UserError('"crop" and "camera" exclude each other: the camera chooses the crop.');
}

/** Keys hold the file's name to be readable and a hash of its path to be unique; they have no dots. */
export function clipKey(relative: string, clip: number): string {
  const stem = path
    .basename(relative, path.extname(relative))
    .replace(/[^A-Za-z0-9_-]+/g, '_')
    .slice(0, 60);
  return `${stem}-${digest(relative).slice(0, 8)}-${String(clip).padStart(6, '0')}`;
}

interface ClipSample {
  key: string;
  members: Record<string, Uint8Array>;
}

async function* clipsOf(
  {file, relative, about}: SourceVideo,
  options: ClipOptions,
  reader: VideoReader,
  encoder: ClipEncoder,
): AsyncGenerator<ClipSample> {
  const {frames, fps, width, height, maxClipsPerVideo = Number.POSITIVE_INFINITY} = options;
  const stride = options.stride ?? frames;
  const bytesThere = (await stat(file).catch(() => undefined))?.size;
  if (bytesThere === undefined) throw new BadSample('missingMember', `There is no file ${file}.`);
  if (bytesThere === 0) throw new BadSample('empty', 'The file is empty.');
  const {caption, metadata} = (await about?.()) ?? {};
  const video = await reader.open(file);
  try {
    const {info} = video;
    const camera = options.camera ? {...defaultCamera, ...(options.camera === true ? {} : options.camera)} : undefined;
    const decoded = camera === undefined ? {width, height} : cameraSize(info, options, camera);
    const crop = checkedCrop(options.crop, info) ?? coverCrop(info, decoded);
    const size = width * height * 3;
    const held: Uint8Array[] = []; // frames of clips not yet complete; overlapping clips share them
    let position = 0; // of held[0], in frames at `fps`
    let clip = 0;
    for await (const frame of video.frames({start: 0, fps, ...decoded, crop})) {
      if (position + held.length < clip * stride) {
        position++; // between two clips
        continue;
      }
      held.push(frame);
      if (held.length < frames) continue;
      const key = clipKey(relative, clip);
      const data = new Uint8Array(size * frames);
      const path_ = camera && cameraPath({key, seed: options.seed ?? 0, frames}, decoded, {width, height}, camera);
      for (const [n, source] of held.entries()) {
        const into = data.subarray(n * size, (n + 1) * size);
        if (path_ === undefined) into.set(source);
        else resampleWindow(source, decoded, path_[n]!, {width, height}, into);
      }
      const start = (clip * stride) / fps;
      const own = {videoid: relative, source: relative, start, duration: frames / fps, fps, frames, width, height};
      const meta = {...own, ...metadata?.({start, crop, source: info})};
      const bytes = await encoder.encode({data, shape: [frames, height, width, 3]}, fps);
      const json = camera === undefined ? meta : {...meta, camera: {from: path_?.[0], to: path_?.at(-1), of: decoded}};
      const members = {[encoder.codec]: bytes, json: Buffer.from(JSON.stringify(json))};
      yield {key, members: caption === undefined ? members : {...members, txt: Buffer.from(caption)}};
      clip++;
      if (clip >= maxClipsPerVideo) return;
      const drop = Math.min(stride, held.length);
      held.splice(0, drop);
      position += drop;
    }
    if (clip === 0) {
      throw new BadSample(
        'tooShort',
        `It lasts ${info.duration.toFixed(2)} s; a clip is ${(frames / fps).toFixed(2)} s.`,
      );
    }
  } finally {
    video.close();
  }
}

/** Large enough that the nearest window is not enlarged, no larger than the source. */
function cameraSize(info: VideoInfo, {width, height}: {width: number; height: number}, {nearest}: CameraOptions) {
  const scale = Math.max(1, Math.min(1 / nearest, info.width / width, info.height / height));
  return {width: Math.round(width * scale), height: Math.round(height * scale)};
}

function checkedCrop(crop: Crop | undefined, info: VideoInfo): Crop | undefined {
  if (crop === undefined) return undefined;
  if (crop.x + crop.width <= info.width && crop.y + crop.height <= info.height) return crop;
  throw new BadSample(
    'tooSmall',
    `The crop ${JSON.stringify(crop)} does not lie within its ${info.width}x${info.height} pixels.`,
  );
}

async function writeAtomically(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, file);
}
