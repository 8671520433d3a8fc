// One sample's media bytes to frames: chooses the clip in time and the crop in space, for videos, animated images and stills.
// Runs in a decoding thread; everything random comes in as numbers, so the same sample gives the same clip anywhere.
import {BadSample} from './bad_sample.ts';
import {loadSharp} from './image_library.ts';
import {checkBytes, coverCrop, endedEarly} from './video/geometry.ts';
import type {VideoReader} from './video/video_reader.ts';

export const videoExtensions = ['mp4', 'webm', 'mkv', 'mov', 'avi', 'm4v', 'ts'] as const;
export const imageExtensions = ['webp', 'png', 'jpg', 'jpeg', 'gif'] as const;

/** What is wanted of one sample. */
export interface ClipWanted {
  frames: number;
  /** Frames per second; the source's own where undefined. */
  fps: number | undefined;
  width: number;
  height: number;
  minSide: number;
  timeoutMs: number;
  /** In [0,1): places the clip in time, the crop in x and y; mirrors from 0.5 on. */
  random: {start: number; x: number; y: number; mirror: number};
}

/** Frames per second of the clip that was written; 0 for a still image. */
export interface ClipDone {
  fps: number;
}

const imageLimits = {maxBytes: 512 * 2 ** 20, maxSide: 16_384, maxPixels: 2 ** 28};

/**
 * Writes the clip [T,H,W,3] into `into`. `reader` gives the video engine, opened when first needed.
 * @throws BadSample when the bytes are not what they should be.
 */
export async function decodeMedia(
  bytes: Uint8Array,
  extension: string,
  wanted: ClipWanted,
  into: Uint8Array,
  reader: () => Promise<VideoReader>,
): Promise<ClipDone> {
  checkBytes(bytes, imageLimits.maxBytes > bytes.byteLength ? imageLimits : {maxBytes: 4 * 2 ** 30});
  const isVideo = (videoExtensions as readonly string[]).includes(extension);
  const done = isVideo ? await videoClip(bytes, wanted, into, await reader()) : await imageClip(bytes, wanted, into);
  if (wanted.random.mirror >= 0.5) mirror(into, wanted.width);
  return done;
}

async function videoClip(
  bytes: Uint8Array,
  wanted: ClipWanted,
  into: Uint8Array,
  reader: VideoReader,
): Promise<ClipDone> {
  const video = await reader.open(bytes, {timeoutMs: wanted.timeoutMs});
  try {
    const {info} = video;
    checkSide(info, wanted);
    const {frames, width, height} = wanted;
    const fps = wanted.fps ?? info.fps;
    const start = clipStart(info, {...wanted, fps});
    const crop = coverCrop(info, wanted, wanted.random.x, wanted.random.y);
    if (start === undefined) throw endedEarly(info, {start: 0, fps, frames, width, height}, info.frames ?? 0);
    await video.clip({start, fps, frames, width, height, crop}, into);
    return {fps};
  } finally {
    video.close();
  }
}

/** Seconds: one of the source's frames from which the clip's last frame is still on display; undefined when too short. */
function clipStart(
  info: {fps: number; duration: number},
  {frames, fps, random}: {frames: number; fps: number; random: {start: number}},
): number | undefined {
  // The clip's last frame must be shown before the video ends; a hundredth of a frame allows for rounded durations.
  const room = (info.duration - (frames - 1) / fps) * info.fps - 1;
  if (room < -0.51) return undefined;
  return Math.floor(random.start * (Math.floor(Math.max(0, room) + 0.01) + 1)) / info.fps;
}

async function imageClip(bytes: Uint8Array, wanted: ClipWanted, into: Uint8Array): Promise<ClipDone> {
  const sharp = await loadSharp();
  const bounds = {limitInputPixels: imageLimits.maxPixels, failOn: 'truncated', sequentialRead: true} as const;
  const meta = await sharp(bytes, bounds)
    .metadata()
    .catch((error: Error) => {
      throw new BadSample('unreadable', `Not an image that can be read: ${error.message.split('\n')[0]}.`);
    });
  if (!['jpeg', 'png', 'webp', 'gif'].includes(meta.format ?? '')) {
    throw new BadSample(
      'unreadable',
      `An image in the format ${meta.format} is not read; jpeg, png, webp and gif are.`,
    );
  }
  const source = {width: meta.width ?? 0, height: meta.height ?? 0};
  if (
    Math.max(source.width, source.height) > imageLimits.maxSide ||
    source.width * source.height > imageLimits.maxPixels
  ) {
    throw new BadSample(
      'tooLarge',
      `The image is ${source.width}x${source.height}; at most ${imageLimits.maxSide} pixels a side are read.`,
    );
  }
  checkSide(source, wanted);
  const pages = meta.pages ?? 1;
  if (pages === 1 && wanted.frames > 1) {
    throw new BadSample('tooShort', `A still image cannot give a clip of ${wanted.frames} frames.`);
  }
  const still = pages === 1;
  const info = {fps: still ? 1 : 1000 / (meta.delay?.[0] || 100), duration: 0};
  info.duration = pages / info.fps;
  const fps = still ? 1 : (wanted.fps ?? info.fps);
  const start = clipStart(info, {...wanted, fps});
  if (start === undefined) {
    throw new BadSample(
      'tooShort',
      `${pages} frames at ${info.fps} fps cannot give ${wanted.frames} frames at ${fps} fps.`,
    );
  }
  const first = Math.round(start * info.fps);
  const pageOf = (n: number) => Math.min(pages - 1, Math.floor(first + (n * info.fps) / fps + 0.2137));
  const read = pageOf(wanted.frames - 1) - first + 1;
  // Turned upright by EXIF first, so that the crop is of what is seen.
  const upright = still ? sharp(bytes, bounds).autoOrient() : sharp(bytes, {...bounds, page: first, pages: read});
  const turned = still && (meta.orientation ?? 1) >= 5;
  const seen = turned
    ? {width: source.height, height: source.width}
    : {width: source.width, height: meta.pageHeight ?? source.height};
  const crop = coverCrop(seen, wanted, wanted.random.x, wanted.random.y);
  const {data, info: got} = await upright
    .extract({left: crop.x, top: crop.y, width: crop.width, height: crop.height})
    .resize(wanted.width, wanted.height, {fit: 'fill', kernel: 'cubic'})
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({resolveWithObject: true})
    .catch((error: Error) => {
      throw new BadSample('truncated', `The image cannot be decoded: ${error.message.split('\n')[0]}.`);
    });
  const size = wanted.width * wanted.height * 3;
  if (got.channels !== 3 || data.byteLength !== size * read) {
    throw new BadSample('unreadable', `The image gave ${data.byteLength} bytes where ${size * read} were expected.`);
  }
  for (let n = 0; n < wanted.frames; n++) {
    const page = pageOf(n) - first;
    into.set(data.subarray(page * size, (page + 1) * size), n * size);
  }
  return {fps: still ? 0 : fps};
}

function checkSide({width, height}: {width: number; height: number}, {minSide}: {minSide: number}): void {
  if (Math.min(width, height) >= minSide) return;
  throw new BadSample('tooSmall', `The frame is ${width}x${height}; at least ${minSide} pixels a side are wanted.`);
}

/** Left to right swapped in place, row by row. */
function mirror(frames: Uint8Array, width: number): void {
  const row = width * 3;
  for (let at = 0; at < frames.length; at += row) {
    for (let left = at, right = at + row - 3; left < right; left += 3, right -= 3) {
      for (let c = 0; c < 3; c++) {
        const kept = frames[left + c]!;
        frames[left + c] = frames[right + c]!;
        frames[right + c] = kept;
      }
    }
  }
}
