// One video to clips: shots found, clips cut inside them, cropped, moved by the camera, encoded. Runs in a worker thread.
import {stat} from 'node:fs/promises';
import path from 'node:path';
import {BadSample} from './bad_sample.ts';
import {type CameraOptions, cameraPath, defaultCamera, resampleWindow, type Window} from './camera.ts';
import type {ClipEncoder} from './clip_file.ts';
import {digest} from './digest.ts';
import {defaultShots, markShots, type ShotOptions} from './shots.ts';
import {coverCrop} from './video/geometry.ts';
import type {Crop, VideoInfo, VideoReader} from './video/video_reader.ts';

/** What decides which clips a video gives, and their bytes. */
export interface CutOptions {
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
  /** For the camera. Default 0. */
  seed?: number;
  /** No clip runs over a cut. Default true. */
  shots?: boolean | Partial<ShotOptions>;
  /** Videos that are not like this are left out, each listed with why. */
  filters?: VideoFilters;
}

/** Bounds of the source videos. */
export interface VideoFilters {
  minWidth?: number;
  minHeight?: number;
  minFps?: number;
  /** Seconds. */
  minDuration?: number;
  maxDuration?: number;
}

/** Where a clip lies in its source. */
export interface ClipPlace {
  /** Seconds after the video's first frame. */
  start: number;
  /** Pixels of the source. */
  crop: Crop;
  source: VideoInfo;
}

/** A clip as it is stored; undefined bytes: it is known and was not wanted again. */
export interface CutClip extends ClipPlace {
  number: number;
  bytes: Uint8Array | undefined;
  /** Number of the shot it is of. */
  shot: number;
  camera: {from: Window | undefined; to: Window | undefined; of: {width: number; height: number}} | undefined;
}

/** A video that the filters leave out. */
export class Filtered extends Error {
  override readonly name = 'Filtered';
}

/** Keys hold the file's name to be readable and a hash of its path to be unique; they have no dots. */
export function clipKey(relative: string, clip: number): string {
  const stem = path
    .basename(relative, path.extname(relative))
    .replace(/[^A-Za-z0-9_-]+/g, '_')
    .slice(0, 60);
  return `${stem}-${digest(relative).slice(0, 8)}-${String(clip).padStart(6, '0')}`;
}

/** Shots are looked for at this many frames per second at least. */
const shotFps = 8;

/**
 * The video's clips in order; those before `from` without their bytes.
 * @param onFrame called for each frame, so that somebody sees that work goes on; throws to stop it
 * @throws BadSample when the video cannot be used (any further); Filtered when it should not be.
 */
export async function* cutClips(
  {file, relative}: {file: string; relative: string},
  options: CutOptions,
  {reader, encoder}: {reader: VideoReader; encoder: ClipEncoder},
  from = 0,
  onFrame: () => void = () => {},
): AsyncGenerator<CutClip> {
  const {frames, fps, width, height, maxClipsPerVideo = Number.POSITIVE_INFINITY} = options;
  const stride = options.stride ?? frames;
  const bytesThere = (await stat(file).catch(() => undefined))?.size;
  if (bytesThere === undefined) throw new BadSample('missingMember', `There is no file ${file}.`);
  if (bytesThere === 0) throw new BadSample('empty', 'The file is empty.');
  const video = await reader.open(file);
  try {
    const {info} = video;
    refuseFiltered(info, options.filters ?? {});
    const camera = options.camera ? {...defaultCamera, ...(options.camera === true ? {} : options.camera)} : undefined;
    const decoded = camera === undefined ? {width, height} : cameraSize(info, options, camera);
    const crop = checkedCrop(options.crop, info) ?? coverCrop(info, decoded);
    const size = width * height * 3;
    let held: Uint8Array[] = []; // frames of the shot's clips not yet complete; overlapping clips share them
    let first = 0; // of held[0], in frames at `fps` of the video
    let at = -1; // the frame
    let [clip, shot] = [0, -1];
    let next = 0; // where the shot's next clip begins
    for await (const {frame, begins} of shotFrames(video.frames.bind(video), {...decoded, crop}, options)) {
      onFrame();
      at++;
      if (begins) {
        shot++;
        [held, next] = [[], at];
      }
      if (at < next) continue; // between two clips
      if (held.length === 0) first = at;
      held.push(frame);
      if (at - next + 1 < frames) continue;
      const key = clipKey(relative, clip);
      const start = next / fps;
      let bytes: Uint8Array | undefined;
      const way = camera && cameraPath({key, seed: options.seed ?? 0, frames}, decoded, {width, height}, camera);
      if (clip >= from) {
        const data = new Uint8Array(size * frames);
        for (let n = 0; n < frames; n++) {
          const source = held[next - first + n]!;
          const into = data.subarray(n * size, (n + 1) * size);
          if (way === undefined) into.set(source);
          else resampleWindow(source, decoded, way[n]!, {width, height}, into);
        }
        bytes = await encoder.encode({data, shape: [frames, height, width, 3]}, fps);
      }
      const moved = way && {from: way[0], to: way.at(-1), of: decoded};
      yield {number: clip, start, crop, source: info, bytes, shot, camera: moved};
      clip++;
      if (clip >= maxClipsPerVideo) return;
      next += stride;
      const drop = Math.min(Math.max(0, next - first), held.length);
      held.splice(0, drop);
      first += drop;
    }
    if (clip === 0) {
      const shots = shot > 0 ? ` in ${shot + 1} shots` : '';
      throw new BadSample(
        'tooShort',
        `It lasts ${info.duration.toFixed(2)} s${shots}; a clip is ${(frames / fps).toFixed(2)} s.`,
      );
    }
  } finally {
    video.close();
  }
}

/** Frames at `fps`, each with whether a shot begins at it; slow ones are looked at between as well. */
async function* shotFrames(
  read: (request: {
    start: number;
    fps: number;
    width: number;
    height: number;
    crop: Crop;
  }) => AsyncGenerator<Uint8Array>,
  size: {width: number; height: number; crop: Crop},
  {fps, shots = true}: CutOptions,
): AsyncGenerator<{frame: Uint8Array; begins: boolean}> {
  if (shots === false) {
    let begins = true;
    for await (const frame of read({start: 0, fps, ...size})) {
      yield {frame, begins};
      begins = false;
    }
    return;
  }
  const every = Math.max(1, Math.ceil(shotFps / fps));
  const options = {...defaultShots, ...(shots === true ? {} : shots)};
  let n = 0;
  let begun = false;
  for await (const {frame, begins} of markShots(read({start: 0, fps: fps * every, ...size}), size, options)) {
    begun ||= begins;
    if (n++ % every !== 0) continue;
    yield {frame, begins: begun};
    begun = false;
  }
}

function refuseFiltered(info: VideoInfo, filters: VideoFilters): void {
  const {minWidth = 0, minHeight = 0, minFps = 0, minDuration = 0, maxDuration = Number.POSITIVE_INFINITY} = filters;
  const {width, height, fps, duration} = info;
  if (width < minWidth || height < minHeight)
    throw new Filtered(`It is ${width}x${height}; at least ${minWidth}x${minHeight} is wanted.`);
  if (fps < minFps - 0.01)
    throw new Filtered(`It has ${fps.toFixed(2)} frames per second; at least ${minFps} are wanted.`);
  if (duration < minDuration)
    throw new Filtered(`It lasts ${duration.toFixed(2)} s; at least ${minDuration} s are wanted.`);
  if (duration > maxDuration)
    throw new Filtered(`It lasts ${duration.toFixed(2)} s; at most ${maxDuration} s are wanted.`);
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
