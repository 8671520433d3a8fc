// Labels and boxes of KEY.json: checked, and boxes moved into the clip that was cut: to its frames, its crop, its mirror.
import type {JsonValue} from 'webdataset-ts';
import {BadSample} from './bad_sample.ts';
import type {ClipBox} from './batch.ts';
import type {ClipPlace} from './clip_cut.ts';

export type Metadata = {[key: string]: JsonValue};

/** A box as KEY.json has it. */
export interface StoredBox {
  /** Of the sample's own frames. */
  frame: number;
  /** Left, top, right, bottom in pixels of the sample. */
  xyxy: [number, number, number, number];
  class: string | number;
}

const mostBoxes = 100_000;
const mostLabel = 2 ** 24; // exact as a float32
const longestClass = 200;
/** A clip's box is dropped when less than this share of it is left within the crop. */
const leastVisible = 0.25;

/**
 * The labels among `names` that are whole numbers from 0; names of classes are texts and stay where they are.
 * @throws BadSample for one that is neither.
 */
export function labelsOf(metadata: Metadata, names: readonly string[]): Record<string, number> {
  const labels: Record<string, number> = {};
  for (const name of names) {
    const value = Object.hasOwn(metadata, name) ? metadata[name] : undefined;
    if (value === undefined || (typeof value === 'string' && value.length <= longestClass)) continue;
    if (typeof value === 'boolean') {
      labels[name] = Number(value);
    } else if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostLabel) {
      labels[name] = value;
    } else {
      throw new BadSample(
        'badMetadata',
        `The label "${name}" must be a whole number from 0 or a short text, found ${shown(value)}.`,
      );
    }
  }
  return labels;
}

/** The boxes, checked. @throws BadSample naming the first that is none. */
export function boxesOf(boxes: unknown): StoredBox[] {
  if (boxes === undefined) return [];
  if (!Array.isArray(boxes)) throw new BadSample('badMetadata', '"boxes" must be a list.');
  if (boxes.length > mostBoxes)
    throw new BadSample('badMetadata', `There are ${boxes.length} boxes; at most ${mostBoxes} are read.`);
  return boxes.map((box: unknown, n) => {
    if (isBox(box)) return box;
    throw new BadSample(
      'badMetadata',
      `Box ${n} must be {frame, xyxy: [left, top, right, bottom], class}, found ${shown(box)}.`,
    );
  });
}

function isBox(value: unknown): value is StoredBox {
  if (value === null || typeof value !== 'object' || !('frame' in value) || !('xyxy' in value) || !('class' in value))
    return false;
  const {frame, xyxy, class: kind} = value;
  if (!Number.isSafeInteger(frame) || !Array.isArray(xyxy) || xyxy.length !== 4) return false;
  if (typeof kind === 'string' ? kind.length > longestClass : !Number.isSafeInteger(kind)) return false;
  return xyxy.every(Number.isFinite) && xyxy[0] < xyxy[2] && xyxy[1] < xyxy[3];
}

const shown = (value: unknown): string => String(JSON.stringify(value)).slice(0, 120);

/**
 * The boxes on the frames of a clip, as shares of its frame.
 * @param labelFps the rate that the boxes' frames are counted at
 */
export function moveBoxes(
  boxes: readonly StoredBox[],
  {start, fps, crop, mirrored}: Pick<ClipPlace, 'start' | 'fps' | 'crop' | 'mirrored'>,
  frames: number,
  labelFps: number,
): ClipBox[] {
  if (boxes.length === 0) return [];
  const byFrame = grouped(boxes);
  const moved: ClipBox[] = [];
  for (let frame = 0; frame < frames; frame++) {
    // The labelled frame on display then.
    const at = fps === 0 ? 0 : Math.floor((start + frame / fps) * labelFps + 0.2137);
    for (const {xyxy, class: kind} of byFrame.get(at) ?? []) {
      const cut = cutBox(xyxy, crop);
      if (cut === undefined) continue;
      const [left, top, right, bottom] = cut;
      moved.push({frame, xyxy: mirrored ? [1 - right, top, 1 - left, bottom] : cut, class: kind});
    }
  }
  return moved;
}

/** The part of a box within the crop, as shares of it; undefined when too little is left. */
function cutBox([left, top, right, bottom]: StoredBox['xyxy'], crop: ClipPlace['crop']): ClipBox['xyxy'] | undefined {
  const x0 = Math.max(0, left - crop.x);
  const y0 = Math.max(0, top - crop.y);
  const x1 = Math.min(crop.width, right - crop.x);
  const y1 = Math.min(crop.height, bottom - crop.y);
  const visible = Math.max(0, x1 - x0) * Math.max(0, y1 - y0);
  if (!(visible > 0) || visible < leastVisible * (right - left) * (bottom - top)) return undefined;
  return [x0 / crop.width, y0 / crop.height, x1 / crop.width, y1 / crop.height];
}

function grouped(boxes: readonly StoredBox[]): Map<number, StoredBox[]> {
  const groups = new Map<number, StoredBox[]>();
  for (const box of boxes) {
    const group = groups.get(box.frame);
    if (group === undefined) groups.set(box.frame, [box]);
    else group.push(box);
  }
  return groups;
}
