// Driving scenes with labels to shards: a folder of videos, each with NAME.json = {fps, night, crowdedness, boxes} as RDS has
// them. Boxes are moved into the clip: cut to its crop, scaled to its pixels, numbered by its frames.
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import type {JsonValue} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import {BadSample} from './bad_sample.ts';
import type {ClipPlace} from './cut_clips.ts';
import {type ShardFolderOptions, splitFolder} from './shard_folder.ts';
import {type ShardReport, shardVideos} from './shard_videos.ts';

/** Not with `camera`: boxes would have to follow it. */
export type ShardRdsOptions = Omit<ShardFolderOptions, 'camera'>;

interface Box {
  frame: number;
  /** Left, top, right, bottom in pixels. */
  xyxy: [number, number, number, number];
  class: string | number;
}

interface Labels {
  fps: number | undefined;
  night: 0 | 1;
  crowdedness: number;
  boxes: Box[];
}

/** A clip's box is dropped when less than this share of it is left within the crop. */
const leastVisible = 0.25;

/** @throws UserError as `shardFolder` does. A video whose labels are missing or wrong is listed as bad. */
export async function shardRds(options: ShardRdsOptions): Promise<ShardReport> {
  if ('camera' in options && options.camera)
    throw new UserError('"camera" cannot be used with boxes: they would not follow it.');
  const found = await splitFolder(options);
  const videos = found.map(video => ({
    ...video,
    about: async () => {
      const labels = await labelsOf(video.file);
      return {metadata: (clip: ClipPlace) => clipLabels(labels, clip, options)};
    },
  }));
  return shardVideos(videos, options, videos.length);
}

async function labelsOf(file: string): Promise<Labels> {
  const name = `${file.slice(0, -path.extname(file).length)}.json`;
  const bad = (what: string) => new BadSample('badMetadata', `Its labels ${path.basename(name)}: ${what}`);
  const text = await readFile(name, 'utf8').catch(() => undefined);
  if (text === undefined) throw new BadSample('missingMember', `There are no labels ${path.basename(name)} beside it.`);
  let value: {fps?: unknown; night?: unknown; crowdedness?: unknown; boxes?: unknown};
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error));
  }
  const {fps, night, crowdedness = 0, boxes = []} = value ?? {};
  if (fps !== undefined && !(typeof fps === 'number' && fps > 0 && fps <= 1000))
    throw bad(`"fps" is ${JSON.stringify(fps)}.`);
  if (night !== 0 && night !== 1) throw bad(`"night" must be 0 or 1, found ${JSON.stringify(night)}.`);
  if (!Number.isSafeInteger(crowdedness) || (crowdedness as number) < 0) {
    throw bad(`"crowdedness" must be a whole number, found ${JSON.stringify(crowdedness)}.`);
  }
  if (!Array.isArray(boxes)) throw bad('"boxes" must be a list.');
  const checked = boxes.map((box: unknown, n) => {
    if (isBox(box)) return box;
    throw bad(
      `box ${n} must be {frame, xyxy: [left, top, right, bottom], class}, found ${JSON.stringify(box)?.slice(0, 120)}.`,
    );
  });
  return {fps, night, crowdedness: crowdedness as number, boxes: checked};
}

function isBox(value: unknown): value is Box {
  if (value === null || typeof value !== 'object' || !('frame' in value) || !('xyxy' in value) || !('class' in value))
    return false;
  const {frame, xyxy, class: kind} = value;
  if (!Number.isSafeInteger(frame) || !Array.isArray(xyxy) || xyxy.length !== 4) return false;
  if (typeof kind !== 'string' && !Number.isSafeInteger(kind)) return false;
  return xyxy.every(Number.isFinite) && xyxy[0] < xyxy[2] && xyxy[1] < xyxy[3];
}

type Size = {frames: number; fps: number; width: number; height: number};

/** The labels of one clip, its boxes in pixels of the clip. */
function clipLabels(labels: Labels, {start, crop, source}: ClipPlace, size: Size): {[key: string]: JsonValue} {
  const labelled = labels.fps ?? source.fps;
  const byFrame = grouped(labels.boxes);
  const [sx, sy] = [size.width / crop.width, size.height / crop.height];
  const boxes: JsonValue[] = [];
  for (let frame = 0; frame < size.frames; frame++) {
    const at = Math.floor((start + frame / size.fps) * labelled + 0.2137); // the labelled frame on display then
    for (const {xyxy, class: kind} of byFrame.get(at) ?? []) {
      const [left, top, right, bottom] = xyxy;
      const cut = [
        Math.max(0, left - crop.x),
        Math.max(0, top - crop.y),
        Math.min(crop.width, right - crop.x),
        Math.min(crop.height, bottom - crop.y),
      ] as const;
      const visible = Math.max(0, cut[2] - cut[0]) * Math.max(0, cut[3] - cut[1]);
      if (visible < leastVisible * (right - left) * (bottom - top)) continue;
      boxes.push({frame, xyxy: [cut[0] * sx, cut[1] * sy, cut[2] * sx, cut[3] * sy], class: kind});
    }
  }
  return {night: labels.night, crowdedness: labels.crowdedness, boxes};
}

function grouped(boxes: readonly Box[]): Map<number, Box[]> {
  const groups = new Map<number, Box[]>();
  for (const box of boxes) {
    const group = groups.get(box.frame);
    if (group === undefined) groups.set(box.frame, [box]);
    else group.push(box);
  }
  return groups;
}
