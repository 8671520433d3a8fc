// From a folder of videos to WebDataset shards of short clips: KEY.mp4, KEY.json and, where there is one, KEY.txt.
// Deterministic: the same files and options give the same shards, whatever the order a file system lists them in.
import {createHash} from 'node:crypto';
import {mkdir, readdir, readFile, rename, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {openShardWriter, type ShardWriter, type WrittenShard} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import {type BadReason, BadSample} from './bad_sample.ts';
import {type CameraOptions, cameraPath, defaultCamera, resampleWindow} from './camera.ts';
import {type ClipCodec, type ClipEncoder, openClipEncoder} from './clip_file.ts';
import {videoExtensions} from './media.ts';
import {coverCrop} from './video/geometry.ts';
import {type Crop, openVideoReader, type VideoEngine, type VideoInfo, type VideoReader} from './video/video_reader.ts';

export interface ShardFolderOptions {
  /** A folder, searched with its subfolders, or the files themselves. */
  input: string | readonly string[];
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
  /** Held-out videos: a share of the files (chosen by a hash of their names) or the files by name. Default 0. */
  validation?: number | readonly string[];
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
  /** Called after each video. */
  onProgress?: (progress: {video: string; done: number; total: number; clips: number}) => void;
  signal?: AbortSignal;
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
 * Cuts every video of a folder into clips and writes them as shards; a caption is `NAME.txt` beside `NAME.mp4`.
 * Bad files are listed in the report (also `report.json`) and skipped.
 * @throws UserError when there is nothing to read, nothing to decode with, or the output is taken.
 */
export async function shardFolder(options: ShardFolderOptions): Promise<ShardReport> {
  checkOptions(options);
  const files = await videoFiles(options.input);
  const heldOut = heldOutFiles(files, options.validation ?? 0);
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
  try {
    for (const [done, file] of files.entries()) {
      options.signal?.throwIfAborted();
      const part = heldOut.has(file) ? 'validation' : 'train';
      let kept = 0;
      try {
        for await (const sample of clipsOf(file, options, reader, encoder)) {
          await writers[part].write(sample);
          kept++;
        }
      } catch (error) {
        if (!(error instanceof BadSample)) throw error;
        bad.push({source: file.relative, reason: error.reason, detail: error.message, clipsKept: kept});
      }
      clips[part] += kept;
      options.onProgress?.({
        video: file.relative,
        done: done + 1,
        total: files.length,
        clips: clips.train + clips.validation,
      });
    }
    if (clips.train + clips.validation === 0) {
      const why = bad[0] === undefined ? '' : ` The first one: ${bad[0].source}: ${bad[0].detail}`;
      throw new UserError(
        `None of the ${files.length} videos gave a clip of ${options.frames} frames at ${options.fps} fps.${why}`,
      );
    }
    const [train, validation] = [await writers.train.close(), await writers.validation.close()];
    const duration = ((clips.train + clips.validation) * options.frames) / options.fps;
    const shared = {codec: encoder.codec, engine: reader.name, videos: files.length};
    const report: ShardReport = {...shared, train, validation, clips, duration, bad};
    await writeAtomically(path.join(options.output, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    return report;
  } catch (error) {
    await Promise.all(Object.values(writers).map((writer: ShardWriter) => writer.abort()));
    throw error;
  }
}

function checkOptions({frames, fps, width, height, stride, crop, camera}: ShardFolderOptions): void {
  for (const [name, value] of Object.entries({frames, width, height, stride: stride ?? 1})) {
    if (!Number.isInteger(value) || value < 1)
      throw new UserError(`"${name}" must be a whole number from 1, found ${value}.`);
  }
  if (!(fps > 0) || fps > 1000) throw new UserError(`"fps" must be a number above 0, at most 1000, found ${fps}.`);
  if (crop !== undefined && camera)
    throw new UserError('"crop" and "camera" exclude each other: the camera chooses the crop.');
}

export interface SourceVideo {
  /** Path to open. */
  file: string;
  /** Path below the input folder, with forward slashes: what names the video in keys, metadata and reports. */
  relative: string;
}

/** Every video below the input, ordered by name. @throws UserError when there is none. */
export async function videoFiles(input: string | readonly string[]): Promise<SourceVideo[]> {
  const extensions = new Set<string>(videoExtensions);
  const wanted = (name: string) => extensions.has(path.extname(name).slice(1).toLowerCase());
  const found: SourceVideo[] = [];
  for (const place of typeof input === 'string' ? [input] : input) {
    const about = await stat(place).catch(() => undefined);
    if (about === undefined) throw new UserError(`There is no folder or file ${place}.`);
    if (!about.isDirectory()) {
      found.push({file: place, relative: path.basename(place)});
      continue;
    }
    const entries = await readdir(place, {recursive: true, withFileTypes: true});
    for (const entry of entries) {
      if (!entry.isFile() || !wanted(entry.name)) continue;
      const file = path.join(entry.parentPath, entry.name);
      found.push({file, relative: path.relative(place, file).split(path.sep).join('/')});
    }
  }
  if (found.length === 0) {
    throw new UserError(`There is no video in ${input}; files that end in ${videoExtensions.join(', ')} are taken.`);
  }
  const twice = found.find(({relative}, n) => found.findIndex(other => other.relative === relative) !== n);
  if (twice !== undefined)
    throw new UserError(`Two videos are named ${twice.relative}; their clips' keys would be the same.`);
  return found.sort((a, b) => (a.relative < b.relative ? -1 : 1));
}

function heldOutFiles(files: readonly SourceVideo[], validation: number | readonly string[]): Set<SourceVideo> {
  if (typeof validation !== 'number') {
    return new Set(
      validation.map(name => {
        const file = files.find(
          ({relative, file}) => relative === name || file === name || path.basename(file) === name,
        );
        if (file === undefined)
          throw new UserError(`The held-out video ${name} is not among the ${files.length} videos.`);
        return file;
      }),
    );
  }
  if (!(validation >= 0 && validation < 1))
    throw new UserError(`"validation" must be a share from 0 to below 1, found ${validation}.`);
  if (validation === 0 || files.length < 2) return new Set();
  const count = Math.min(files.length - 1, Math.max(1, Math.round(files.length * validation)));
  const byHash = [...files].sort((a, b) => (digest(a.relative) < digest(b.relative) ? -1 : 1));
  return new Set(byHash.slice(0, count));
}

const digest = (text: string) => createHash('sha256').update(text).digest('hex');

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
  {file, relative}: SourceVideo,
  options: ShardFolderOptions,
  reader: VideoReader,
  encoder: ClipEncoder,
): AsyncGenerator<ClipSample> {
  const {frames, fps, width, height, maxClipsPerVideo = Number.POSITIVE_INFINITY} = options;
  const stride = options.stride ?? frames;
  if ((await stat(file)).size === 0) throw new BadSample('empty', 'The file is empty.');
  const caption = await captionOf(file);
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
      const meta = {videoid: relative, source: relative, start, duration: frames / fps, fps, frames, width, height};
      const bytes = await encoder.encode({data, shape: [frames, height, width, 3]}, fps);
      const json = camera === undefined ? meta : {...meta, camera: {from: path_?.[0], to: path_?.at(-1), of: decoded}};
      const members = {[encoder.codec]: bytes, json: Buffer.from(JSON.stringify(json))};
      yield {key, members: caption === undefined ? members : {...members, txt: caption}};
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

async function captionOf(file: string): Promise<Uint8Array | undefined> {
  const name = `${file.slice(0, -path.extname(file).length)}.txt`;
  const bytes = await readFile(name).catch(() => undefined);
  if (bytes === undefined) return undefined;
  try {
    new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch {
    throw new BadSample('badCaption', `Its caption ${path.basename(name)} is not UTF-8 text.`);
  }
  return bytes;
}

async function writeAtomically(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, file);
}
