// One sample's media bytes to frames: a clip of a video, an animated image or a still, or the whole of it. Runs in a decoding
// thread; everything random comes in as numbers, so the same sample gives the same clip anywhere.
import {BadSample} from './bad_sample.ts';
import {type ClipPlace, type ClipShape, type ClipWanted, placeClip, type SourceInfo} from './clip_cut.ts';
import {loadSharp} from './image_library.ts';
import {checkBytes} from './video/geometry.ts';
import type {VideoReader} from './video/video_reader.ts';

export const videoExtensions = ['mp4', 'webm', 'mkv', 'mov', 'avi', 'm4v', 'ts'] as const;
export const imageExtensions = ['webp', 'png', 'jpg', 'jpeg', 'gif'] as const;

/** The longest a clip may be that is decoded whole. */
export interface WholeWanted {
  /** Frames at most, of this size. */
  shape: ClipShape;
  /** Frames per second; the source's own where undefined. */
  fps: number | undefined;
  /** Seconds: where to begin. */
  from: number;
  minSide: number;
  timeoutMs: number;
}

/** What was written: where in the source it lies, and how many frames it has (fewer than wanted only of a whole source). */
export interface ClipDone {
  place: ClipPlace;
  frames: number;
}

const imageLimits = {maxBytes: 512 * 2 ** 20, maxSide: 16_384, maxPixels: 2 ** 28};

/**
 * Writes the clip [T,H,W,3] into `into`, which has room for the largest shape. `reader` gives the video engine, opened when
 * first needed.
 * @throws BadSample when the bytes are not what they should be.
 */
export async function decodeMedia(
  bytes: Uint8Array,
  extension: string,
  wanted: ClipWanted | WholeWanted,
  into: Uint8Array,
  reader: () => Promise<VideoReader>,
): Promise<ClipDone> {
  checkBytes(bytes, imageLimits.maxBytes > bytes.byteLength ? imageLimits : {maxBytes: 4 * 2 ** 30});
  const isVideo = (videoExtensions as readonly string[]).includes(extension);
  const done = isVideo ? await videoClip(bytes, wanted, into, await reader()) : await imageClip(bytes, wanted, into);
  if (done.place.mirrored) {
    const {frames, width, height} = 'shape' in wanted ? wanted.shape : wanted.shapes[done.place.shape]!;
    mirror(into.subarray(0, frames * height * width * 3), width);
  }
  return done;
}

async function videoClip(
  bytes: Uint8Array,
  wanted: ClipWanted | WholeWanted,
  into: Uint8Array,
  reader: VideoReader,
): Promise<ClipDone> {
  const video = await reader.open(bytes, {timeoutMs: wanted.timeoutMs});
  try {
    const {info} = video;
    if ('shape' in wanted) {
      const place = placeWhole(info, wanted);
      const {frames: most, width, height} = wanted.shape;
      let frames = 0;
      for await (const frame of video.frames({...place, width, height, frames: most})) {
        into.set(frame, frames++ * frame.byteLength);
      }
      if (frames < most) checkEnd(info, place, frames);
      return {place, frames};
    }
    const place = placeClip(info, wanted);
    const {frames, width, height} = wanted.shapes[place.shape]!;
    const {start, fps, crop} = place;
    await video.clip({start, fps, frames, width, height, crop}, into.subarray(0, frames * height * width * 3));
    return {place, frames};
  } finally {
    video.close();
  }
}

/** From `from` to the end, the largest centred crop. */
function placeWhole(info: SourceInfo, {shape, fps, from, minSide, timeoutMs}: WholeWanted): ClipPlace {
  const random = {rate: 0, start: 0, x: 0.5, y: 0.5, mirror: 0};
  const one = {
    shapes: [{...shape, frames: 1}],
    rates: [],
    asImage: false,
    crop: 'cover',
    minSide,
    timeoutMs,
    random,
  } as const;
  return {...placeClip(info, one), start: from, fps: info.fps === 0 ? 0 : (fps ?? info.fps)};
}

/** A source that gave fewer frames than asked for must have come to its end. @throws BadSample `truncated` */
function checkEnd(info: SourceInfo, {start, fps}: ClipPlace, frames: number): void {
  if (info.duration - (start + frames / fps) <= Math.max(1, 0.02 * info.duration)) return;
  throw new BadSample(
    'truncated',
    `The video says it lasts ${info.duration.toFixed(2)} s but ends after ${(start + frames / fps).toFixed(2)} s.`,
  );
}

async function imageClip(bytes: Uint8Array, wanted: ClipWanted | WholeWanted, into: Uint8Array): Promise<ClipDone> {
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
  const pages = meta.pages ?? 1;
  const still = pages === 1;
  const turned = still && (meta.orientation ?? 1) >= 5;
  const seen = turned
    ? {width: source.height, height: source.width}
    : {width: source.width, height: meta.pageHeight ?? source.height};
  const rate = still ? 0 : 1000 / (meta.delay?.[0] || 100);
  const info: SourceInfo = {...seen, fps: rate, duration: still ? 0 : pages / rate};
  const place = 'shape' in wanted ? placeWhole(info, wanted) : placeClip(info, wanted);
  const size = 'shape' in wanted ? wanted.shape : wanted.shapes[place.shape]!;
  const first = Math.round(place.start * rate);
  const pageAt = (n: number) => (still ? 0 : Math.floor(first + (n * rate) / place.fps + 0.2137));
  const frames = 'shape' in wanted ? framesThere(pages, size.frames, pageAt) : size.frames;
  const pageOf = (n: number) => Math.min(pages - 1, pageAt(n));
  const read = pageOf(frames - 1) - first + 1;
  // Turned upright by EXIF first, so that the crop is of what is seen.
  const upright = still ? sharp(bytes, bounds).autoOrient() : sharp(bytes, {...bounds, page: first, pages: read});
  const {crop} = place;
  const {data, info: got} = await upright
    .extract({left: crop.x, top: crop.y, width: crop.width, height: crop.height})
    .resize(size.width, size.height, {fit: 'fill', kernel: 'cubic'})
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({resolveWithObject: true})
    .catch((error: Error) => {
      throw new BadSample('truncated', `The image cannot be decoded: ${error.message.split('\n')[0]}.`);
    });
  const bytesEach = size.width * size.height * 3;
  if (got.channels !== 3 || data.byteLength !== bytesEach * read) {
    throw new BadSample(
      'unreadable',
      `The image gave ${data.byteLength} bytes where ${bytesEach * read} were expected.`,
    );
  }
  for (let n = 0; n < frames; n++) {
    const page = pageOf(n) - first;
    into.set(data.subarray(page * bytesEach, (page + 1) * bytesEach), n * bytesEach);
  }
  return {place, frames};
}

/** How many of at most `most` frames lie within the pages. */
function framesThere(pages: number, most: number, pageAt: (n: number) => number): number {
  if (pages === 1) return 1;
  let frames = 0;
  while (frames < most && pageAt(frames) < pages) frames++;
  return frames;
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
