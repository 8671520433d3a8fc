// Where frames come from: crop boxes, the filter chain both engines run, and the bounds on what a container claims.
import {BadSample} from '../bad_sample.ts';
import type {Crop, FramesRequest, VideoInfo, VideoLimits} from './video_reader.ts';

/** The largest box of the aspect width:height within the source; `x` and `y` in [0,1] place it (0.5 = centred). */
export function coverCrop(
  source: {width: number; height: number},
  size: {width: number; height: number},
  x = 0.5,
  y = 0.5,
): Crop {
  const scale = Math.min(source.width / size.width, source.height / size.height);
  const width = Math.max(1, Math.min(source.width, Math.round(size.width * scale)));
  const height = Math.max(1, Math.min(source.height, Math.round(size.height * scale)));
  return {x: Math.round((source.width - width) * x), y: Math.round((source.height - height) * y), width, height};
}

// Bicubic filters widen with the reduction, so they do not alias; accurate_rnd makes the rounding the same on every CPU.
const scaling = 'flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact';

/** FFmpeg filters from decoded frames to RGB24 of the wanted size. */
export function pixelFilter(info: VideoInfo, request: FramesRequest): string {
  const {x, y, width, height} = checkCrop(info, request);
  const turn = {0: '', 90: 'transpose=clock,', 180: 'hflip,vflip,', 270: 'transpose=cclock,'}[info.rotation] ?? '';
  const whole = width === info.width && height === info.height;
  // Chroma is subsampled: without exact=1 an odd offset would be moved to an even one.
  const crop = whole ? '' : `crop=${width}:${height}:${x}:${y}:exact=1,`;
  return `${turn}${crop}scale=${request.width}:${request.height}:${scaling},format=rgb24`;
}

function checkCrop(info: VideoInfo, request: FramesRequest): Crop {
  const {width, height, fps, start, frames} = request;
  const crop = request.crop ?? coverCrop(info, request);
  const inside =
    [crop.x, crop.y, crop.width, crop.height].every(Number.isInteger) &&
    crop.x >= 0 &&
    crop.y >= 0 &&
    crop.width > 0 &&
    crop.height > 0 &&
    crop.x + crop.width <= info.width &&
    crop.y + crop.height <= info.height;
  if (!inside) {
    throw new RangeError(
      `The crop ${JSON.stringify(crop)} does not lie within the ${info.width}x${info.height} video.`,
    );
  }
  const sizes = [width, height].every(side => Number.isInteger(side) && side > 0 && side <= 16_384);
  const times = fps > 0 && fps <= 1000 && start >= 0 && Number.isFinite(start);
  if (!sizes || !times || (frames !== undefined && !(Number.isInteger(frames) && frames > 0))) {
    throw new RangeError(`Not a possible request for frames: ${JSON.stringify(request)}.`);
  }
  return crop;
}

/** Times this close before a frame's own count as the frame's: a part of a frame that no usual ratio of rates meets. */
export function timeTolerance(info: VideoInfo, fps: number): number {
  return 0.2137 / Math.max(info.fps, fps);
}

/** @throws BadSample when a container claims what is not believable or beyond the limits. */
export function checkInfo(info: VideoInfo, limits: VideoLimits): VideoInfo {
  const {width, height, duration, fps} = info;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new BadSample('noVideo', `The video says it is ${width}x${height} pixels.`);
  }
  if (width > limits.maxSide || height > limits.maxSide) {
    throw new BadSample(
      'tooLarge',
      `The video is ${width}x${height}; at most ${limits.maxSide} pixels a side are read.`,
    );
  }
  if (!(fps > 0) || !Number.isFinite(fps))
    throw new BadSample('unreadable', `The video says it has ${fps} frames per second.`);
  if (fps > limits.maxFps) throw new BadSample('tooLarge', `The video says it has ${fps} frames per second.`);
  if (!(duration >= 0)) throw new BadSample('unreadable', `The video says it lasts ${duration} s.`);
  if (duration > limits.maxDuration) {
    throw new BadSample('tooLarge', `The video says it lasts ${duration} s; at most ${limits.maxDuration} s are read.`);
  }
  return info;
}

/** @throws BadSample for no bytes or too many. */
export function checkBytes(bytes: Uint8Array, limits: {maxBytes: number}): void {
  if (bytes.byteLength === 0) throw new BadSample('empty', 'The file is empty.');
  if (bytes.byteLength > limits.maxBytes) {
    throw new BadSample('tooLarge', `The file has ${bytes.byteLength} bytes; at most ${limits.maxBytes} are read.`);
  }
}

/**
 * A whole file was read: it must have lasted about as long as it said (durations are often rounded or those of the sound).
 * @throws BadSample `truncated` when more than 2 % and more than a second are missing.
 */
export function checkWhole(info: VideoInfo, request: FramesRequest, got: number): void {
  const lasted = got / request.fps;
  const said = info.duration - request.start;
  if (request.frames !== undefined || said - lasted <= Math.max(1, 0.02 * said)) return;
  throw new BadSample(
    'truncated',
    `The video says it lasts ${info.duration.toFixed(2)} s but ends after ${(request.start + lasted).toFixed(2)} s.`,
  );
}

/** Why a clip ended early: the container promised more (truncated), or never had enough (too short). */
export function endedEarly(info: {duration: number}, request: FramesRequest, got: number): BadSample {
  const needed = request.start + ((request.frames ?? 1) - 1) / request.fps;
  const said = `${got} of ${request.frames} frames at ${request.fps} fps from ${request.start.toFixed(3)} s`;
  return info.duration > needed
    ? new BadSample('truncated', `The video says it lasts ${info.duration.toFixed(3)} s but gave only ${said}.`)
    : new BadSample('tooShort', `The video lasts ${info.duration.toFixed(3)} s and gave only ${said}.`);
}
