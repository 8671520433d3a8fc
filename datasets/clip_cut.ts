// Which clip is cut out of a sample: its bucket, its frame rate, its start, its crop. A function of what the sample is and of
// the random numbers that come with the request, so it is the same on every thread and machine.
import {BadSample} from './bad_sample.ts';
import {coverCrop, endedEarly} from './video/geometry.ts';
import type {Crop} from './video/video_reader.ts';

/** Size and length of what comes out. */
export interface ClipShape {
  /** 1: a still image. */
  frames: number;
  width: number;
  height: number;
}

/** What is wanted of one sample. */
export interface ClipWanted {
  /** The shapes to choose from. */
  shapes: readonly ClipShape[];
  /** Frames per second to choose from; the source's own where empty. */
  rates: readonly number[];
  /** Take one frame of a video. */
  asImage: boolean;
  /** The largest part of the wanted aspect, scaled; or a window of the wanted size, unscaled. */
  crop: 'cover' | 'patch';
  minSide: number;
  timeoutMs: number;
  /** In [0,1): choose the rate, place the clip in time, the crop in x and y; mirror from 0.5 on. */
  random: {rate: number; start: number; x: number; y: number; mirror: number};
}

/** What is known of a sample's pictures. */
export interface SourceInfo {
  width: number;
  height: number;
  /** 0 for a still image. */
  fps: number;
  /** Seconds. */
  duration: number;
}

/** Where in its source a clip lies. */
export interface ClipPlace {
  /** Index of the shape chosen. */
  shape: number;
  /** Seconds. */
  start: number;
  /** Of the clip; 0 for a still image. */
  fps: number;
  /** Pixels of the source. */
  crop: Crop;
  mirrored: boolean;
  source: SourceInfo;
}

/** @throws BadSample when none of the shapes can be cut from the source. */
export function placeClip(info: SourceInfo, wanted: ClipWanted): ClipPlace {
  const {random, crop: cut, minSide} = wanted;
  if (Math.min(info.width, info.height) < minSide) {
    throw new BadSample(
      'tooSmall',
      `The frame is ${info.width}x${info.height}; at least ${minSide} pixels a side are wanted.`,
    );
  }
  const {shape, rates} = chooseShape(info, wanted);
  const size = wanted.shapes[shape]!;
  const crop =
    cut === 'cover'
      ? coverCrop(info, size, random.x, random.y)
      : {
          x: Math.floor(random.x * (info.width - size.width + 1)),
          y: Math.floor(random.y * (info.height - size.height + 1)),
          width: size.width,
          height: size.height,
        };
  const common = {shape, crop, mirrored: random.mirror >= 0.5, source: info};
  if (info.fps === 0) return {...common, start: 0, fps: 0};
  const fps = rates[Math.floor(random.rate * rates.length)]!;
  return {...common, fps, start: clipStart(info, {fps, frames: size.frames}, random.start)!};
}

/** The longest shape that the source is long enough for; of those, the one of the nearest aspect. */
function chooseShape(info: SourceInfo, wanted: ClipWanted): {shape: number; rates: readonly number[]} {
  const indexed = wanted.shapes.map((shape, index) => ({...shape, index}));
  const clips = wanted.asImage || info.fps === 0 ? [] : indexed.filter(({frames}) => frames > 1);
  const may = clips.length > 0 ? clips : indexed.filter(({frames}) => frames === 1);
  const shortest = Math.min(...indexed.map(({frames}) => frames));
  if (may.length === 0) throw new BadSample('tooShort', `A still image cannot give a clip of ${shortest} frames.`);
  const rates = wanted.rates.length > 0 ? wanted.rates : [info.fps];
  const fitting = (frames: number) =>
    info.fps === 0 ? rates : rates.filter(fps => clipStart(info, {fps, frames}, 0) !== undefined);
  const longest = Math.max(0, ...may.map(({frames}) => (fitting(frames).length > 0 ? frames : 0)));
  if (longest === 0) {
    const {frames, width, height} = may.reduce((least, other) => (other.frames < least.frames ? other : least));
    throw endedEarly(
      info,
      {start: 0, fps: Math.max(...rates), frames, width, height},
      Math.round(info.duration * info.fps),
    );
  }
  const long = may.filter(({frames}) => frames === longest);
  const size = wanted.crop === 'patch' ? nearestPatch(info, long) : nearestSize(info, long);
  return {shape: size.index, rates: fitting(longest)};
}

type Indexed = ClipShape & {index: number};
const area = ({width, height}: {width: number; height: number}) => width * height;

/** Nearest in aspect; of equals the largest that does not enlarge the source, else the smallest. */
function nearestSize(info: SourceInfo, shapes: readonly Indexed[]): Indexed {
  const aspect = ({width, height}: {width: number; height: number}) => Math.log(width / height);
  const off = (shape: ClipShape) => Math.abs(aspect(shape) - aspect(info));
  const least = Math.min(...shapes.map(off));
  const near = shapes.filter(shape => off(shape) < least + 1e-6).sort((a, b) => area(a) - area(b));
  return near.findLast(shape => area(shape) <= area(info)) ?? near[0]!;
}

function nearestPatch(info: SourceInfo, shapes: readonly Indexed[]): Indexed {
  const inside = shapes.filter(({width, height}) => width <= info.width && height <= info.height);
  const [first, ...others] = inside;
  if (first === undefined) {
    const {width, height} = shapes.reduce((least, other) => (area(other) < area(least) ? other : least));
    throw new BadSample(
      'tooSmall',
      `The frame is ${info.width}x${info.height}; a patch of ${width}x${height} cannot be cut from it.`,
    );
  }
  return others.reduce((best, other) => (area(other) > area(best) ? other : best), first);
}

/** Seconds: one of the source's frames from which the clip's last frame is still on display; undefined when too short. */
function clipStart(info: SourceInfo, {frames, fps}: {frames: number; fps: number}, at: number): number | undefined {
  // The clip's last frame must be shown before the video ends; a hundredth of a frame allows for rounded durations.
  const room = (info.duration - (frames - 1) / fps) * info.fps - 1;
  if (room < -0.51) return undefined;
  return Math.floor(at * (Math.floor(Math.max(0, room) + 0.01) + 1)) / info.fps;
}
