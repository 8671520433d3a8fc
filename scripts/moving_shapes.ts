// Captioned moving shapes: clips whose content is known, for measuring what text, labels and boxes do. A square or a disc of
// one of three colours goes at a steady pace in one of four directions and comes back in at the other edge.
import path from 'node:path';
import {openShardWriter} from 'webdataset-ts';
import {openClipEncoder} from '../datasets/clip_file.ts';
import {integers, uniforms} from '../src/random/index.ts';

export const directions = ['left', 'right', 'up', 'down'] as const;
export type Direction = (typeof directions)[number];
const shapes = ['square', 'disc'] as const;
/**
 * Another style is another world with the same motion: what an image model is fine-tuned to. `lit`: how much light falls on the
 * ground from the right (red) and from below (blue), where it does.
 */
const styles = {
  dark: {ground: 24, lit: 64, red: [225, 60, 50], green: [60, 190, 80], blue: [70, 100, 235], golden: [235, 190, 40]},
  light: {ground: 232, lit: -64, red: [170, 20, 90], green: [120, 120, 10], blue: [10, 110, 130], golden: [110, 70, 0]},
} as const;
export type ShapeStyle = keyof typeof styles;

export interface MovingShape {
  readonly shape: (typeof shapes)[number] | 'ring';
  readonly colour: 'red' | 'green' | 'blue' | 'golden';
  readonly direction: Direction;
  /** Where its middle starts, as shares of width and height. */
  readonly start: readonly [x: number, y: number];
  /** Where the waves of the ground start. */
  readonly ground: readonly [x: number, y: number];
}

export interface ShapeClips {
  readonly frames: number;
  readonly size: number;
  readonly fps: number;
  /** Share of the frame's side that the shape goes each frame. */
  readonly pace: number;
  /** `anywhere` (default), or `outward`: from a little before the middle of the frame towards the edge that it is headed for. */
  readonly path?: 'anywhere' | 'outward';
  /** Default `dark`. */
  readonly style?: ShapeStyle;
  /** The ground is lit from one side and from below, the same in every clip: a frame then shows which side is which. */
  readonly lit?: boolean;
  /** Every clip shows a golden ring, which is never drawn by lot: a subject that an image model is fine-tuned to. */
  readonly subject?: boolean;
}

/** Shape `i` of a seed. */
export function movingShape(seed: number, i: number): MovingShape {
  const [shape = 0, colour = 0, direction = 0] = integers({seed, stream: 'synthetic', step: i}, 3, 12);
  const [x = 0, y = 0] = uniforms({seed, stream: 'synthetic', step: i, offset: 8}, 2);
  return {
    shape: shapes[shape % 2]!,
    colour: (['red', 'green', 'blue'] as const)[colour % 3]!,
    direction: directions[direction % 4]!,
    start: [x, y],
    ground: [x, y],
  };
}

const headings = {left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1]} as const;

/**
 * The same shape on a path that passes the middle 30 % of its way into the clip. A frame then tells which side the shape is on,
 * and the caption which side to expect it on; which way it goes is told by the frames together.
 */
function outward(moving: MovingShape, {frames, pace}: ShapeClips): MovingShape {
  const place = (axis: 0 | 1) => {
    const heading = headings[moving.direction][axis];
    return heading === 0 ? 0.5 + 0.3 * (moving.start[axis] - 0.5) : 0.5 - 0.3 * heading * pace * (frames - 1);
  };
  return {...moving, start: [place(0), place(1)]};
}

/** How far outside of a shape a point is, from its distances to the middle along both axes. */
const outsideOf = {
  square: (x, y, half) => Math.max(x, y) - half,
  disc: (x, y, half) => Math.hypot(x, y) - half,
  ring: (x, y, half) => Math.abs(Math.hypot(x, y) - 0.7 * half) - 0.3 * half,
} as const satisfies Record<MovingShape['shape'], (x: number, y: number, half: number) => number>;

export function captionOf({shape, colour, direction}: MovingShape): string {
  return `a ${colour} ${shape} moves ${direction}`;
}

/** RGB [T,size,size,3], edges smoothed, and the box of each frame in shares (the part before it leaves the frame). */
export function drawShape(
  {shape, colour, direction, start, ground: waves}: MovingShape,
  {frames, size, pace, style = 'dark', lit = false}: Omit<ShapeClips, 'fps' | 'path' | 'subject'>,
): {data: Uint8Array; boxes: [number, number, number, number][]} {
  const [dx, dy] = headings[direction];
  const half = size * 0.2;
  const {ground, lit: light, [colour]: paint} = styles[style];
  const data = new Uint8Array(frames * size * size * 3);
  const boxes: [number, number, number, number][] = [];
  const wrap = (x: number) => x - Math.floor(x);
  for (let t = 0; t < frames; t++) {
    const [cx, cy] = [wrap(start[0] + dx * pace * t) * size, wrap(start[1] + dy * pace * t) * size];
    const edge = (from: number) => Math.min(1, Math.max(0, from / size));
    boxes.push([edge(cx - half), edge(cy - half), edge(cx + half), edge(cy + half)]);
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const away = (a: number, c: number) => Math.min(Math.abs(a - c), size - Math.abs(a - c));
        const [ax, ay] = [away(x + 0.5, cx), away(y + 0.5, cy)];
        const outside = outsideOf[shape](ax, ay, half);
        // The ground is uneven, so that no layer's normalisation sees a flat picture.
        const under =
          ground + 20 * Math.sin(2 * Math.PI * (x / size + waves[1])) * Math.cos(2 * Math.PI * (y / size + waves[0]));
        const cover = Math.min(1, Math.max(0, 0.5 - outside));
        const lights = lit ? [(light * (x + 0.5)) / size, 0, (light * (y + 0.5)) / size] : [0, 0, 0];
        for (let c = 0; c < 3; c++) {
          const seen = under + lights[c]!;
          data[((t * size + y) * size + x) * 3 + c] = Math.round(seen + cover * (paint[c]! - seen));
        }
      }
    }
  }
  return {data, boxes};
}

/** Writes `count` clips of a seed as shards NAME-000000.tar; each has a caption, labels and boxes. */
export async function writeShapeShards(
  folder: string,
  name: string,
  {count, seed, ...clips}: ShapeClips & {count: number; seed: number},
): Promise<string> {
  const {frames, size, fps} = clips;
  const encoder = await openClipEncoder('webp');
  const writer = openShardWriter({path: path.join(folder, `${name}-%06d.tar`), overwrite: true});
  for (let i = 0; i < count; i++) {
    const drawn = movingShape(seed, i);
    const anywhere: MovingShape = clips.subject ? {...drawn, shape: 'ring', colour: 'golden'} : drawn;
    const moving = clips.path === 'outward' ? outward(anywhere, clips) : anywhere;
    const {data, boxes} = drawShape(moving, clips);
    const pixels = (box: number[]) => box.map(share => share * size);
    await writer.write({
      key: `shape-${seed}-${String(i).padStart(5, '0')}`,
      members: {
        webp: await encoder.encode({data, shape: [frames, size, size, 3]}, fps),
        txt: captionOf(moving),
        json: {
          fps,
          direction: moving.direction,
          colour: moving.colour,
          size: [size, size],
          boxes: boxes.map((box, frame) => ({frame, xyxy: pixels(box), class: moving.shape})),
        },
      },
    });
  }
  return (await writer.close())[0]!.path;
}

/**
 * The direction in which the bright part of a clip moves over what stands still (the darkest that each place becomes): the way
 * its middle goes from frame to frame, on a frame without edges (a shape that leaves on the left comes in on the right),
 * measured by the phase of the lowest wave along each axis.
 */
export function directionOf(data: Uint8Array, [frames, height, width]: readonly number[]): Direction {
  const perFrame = height! * width! * 3;
  const still = data.slice(0, perFrame);
  for (const [i, value] of data.entries()) still[i % perFrame] = Math.min(still[i % perFrame]!, value);
  const phases = Array.from({length: frames!}, (_, t) => {
    const sums = {x: [0, 0], y: [0, 0]};
    for (let y = 0; y < height!; y++) {
      for (let x = 0; x < width!; x++) {
        const at = (y * width! + x) * 3;
        const above = (c: 0 | 1 | 2) => data[t * perFrame + at + c]! - still[at + c]!;
        const bright = Math.max(above(0), above(1), above(2));
        for (const [axis, angle] of [
          ['x', (2 * Math.PI * x) / width!],
          ['y', (2 * Math.PI * y) / height!],
        ] as const) {
          sums[axis][0]! += bright * Math.cos(angle);
          sums[axis][1]! += bright * Math.sin(angle);
        }
      }
    }
    return {x: Math.atan2(sums.x[1]!, sums.x[0]!), y: Math.atan2(sums.y[1]!, sums.y[0]!)};
  });
  const moved = (axis: 'x' | 'y') =>
    phases.slice(1).reduce((sum, phase, t) => {
      const turn = phase[axis] - phases[t]![axis];
      return sum + Math.atan2(Math.sin(turn), Math.cos(turn));
    }, 0);
  const [dx, dy] = [moved('x'), moved('y')];
  if (Math.abs(dx) > Math.abs(dy)) return dx > 0 ? 'right' : 'left';
  return dy > 0 ? 'down' : 'up';
}
