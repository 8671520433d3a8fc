// A slow camera for still scenes: a crop window that moves and zooms over a clip, and the resampling of one window.
// Where it goes is a function of the seed and the clip's key alone.
import {streamOf, uniforms} from '../src/random/index.ts';

export interface CameraOptions {
  /** Smallest window, as a share of the largest that fits: 0.6 lets the camera come as near as 1/0.6. In (0,1]. */
  nearest: number;
  /** Largest change of the window's size over one clip, as a factor: 1.2 means at most 20 % zoom. At least 1. */
  zoom: number;
  /** Largest way of the window's centre over one clip, as a share of the window's side. */
  pan: number;
}

export const defaultCamera: CameraOptions = {nearest: 0.6, zoom: 1.15, pan: 0.25};

/** A window in pixels of the source; fractions are meant. */
export interface Window {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The window for each of `frames` frames: centre on a straight line, size on a geometric one, always inside the source. */
export function cameraPath(
  {key, seed, frames}: {key: string; seed: number; frames: number},
  source: {width: number; height: number},
  size: {width: number; height: number},
  {nearest, zoom, pan}: CameraOptions,
): Window[] {
  const u = uniforms({seed, stream: streamOf(`camera/${key}`), step: 0}, 6);
  const between = (low: number, high: number, at: number) => low + (high - low) * at;
  const largest = Math.min(source.width / size.width, source.height / size.height);
  const clampSize = (scale: number) => Math.min(largest, Math.max(largest * nearest, scale));
  const from = clampSize(largest * between(nearest, 1, u[0]!));
  const to = clampSize(from * zoom ** between(-1, 1, u[1]!));
  const angle = 2 * Math.PI * u[2]!;
  const way = pan * u[3]! * from;
  const [dx, dy] = [Math.cos(angle) * way * size.width, Math.sin(angle) * way * size.height];
  // The room that both ends leave decides where the path's middle may be.
  const room = (side: number, along: number, length: number) => {
    const half = (Math.max(from, to) * side + Math.abs(along)) / 2;
    return [Math.min(half, length / 2), Math.max(length - half, length / 2)] as const;
  };
  const middleX = between(...room(size.width, dx, source.width), u[4]!);
  const middleY = between(...room(size.height, dy, source.height), u[5]!);
  return Array.from({length: frames}, (_, n) => {
    const t = frames === 1 ? 0.5 : n / (frames - 1);
    const scale = from * (to / from) ** t;
    const [width, height] = [scale * size.width, scale * size.height];
    const x = middleX + dx * (t - 0.5) - width / 2;
    const y = middleY + dy * (t - 0.5) - height / 2;
    return {
      x: Math.min(Math.max(0, x), source.width - width),
      y: Math.min(Math.max(0, y), source.height - height),
      width,
      height,
    };
  });
}

/** Weights of a triangle filter that widens with the reduction, one row a target pixel: no aliasing, sub-pixel exact. */
function taps(from: number, length: number, source: number, target: number): {first: number; weights: Float32Array}[] {
  const scale = length / target;
  const reach = Math.max(1, scale);
  return Array.from({length: target}, (_, n) => {
    const centre = from + (n + 0.5) * scale - 0.5;
    const first = Math.max(0, Math.ceil(centre - reach));
    const last = Math.min(source - 1, Math.floor(centre + reach));
    const raw = Array.from({length: Math.max(1, last - first + 1)}, (_, k) =>
      Math.max(1e-6, 1 - Math.abs(first + k - centre) / reach),
    );
    const sum = raw.reduce((a, b) => a + b, 0);
    return {first: Math.min(first, source - 1), weights: Float32Array.from(raw, w => w / sum)};
  });
}

/** Writes the window of an RGB frame [h,w,3], resampled to `size`, into `into` [H,W,3]. */
export function resampleWindow(
  frame: Uint8Array,
  source: {width: number; height: number},
  window: Window,
  size: {width: number; height: number},
  into: Uint8Array,
): void {
  const columns = taps(window.x, window.width, source.width, size.width);
  const rows = taps(window.y, window.height, source.height, size.height);
  const firstRow = rows[0]?.first ?? 0;
  const lastRow = rows.reduce((last, {first, weights}) => Math.max(last, first + weights.length - 1), firstRow);
  const wide = new Float32Array((lastRow - firstRow + 1) * size.width * 3);
  for (let y = firstRow; y <= lastRow; y++) {
    let at = (y - firstRow) * size.width * 3;
    for (const {first, weights} of columns) {
      let [r, g, b] = [0, 0, 0];
      let from = (y * source.width + first) * 3;
      for (const weight of weights) {
        r += weight * frame[from]!;
        g += weight * frame[from + 1]!;
        b += weight * frame[from + 2]!;
        from += 3;
      }
      wide[at++] = r;
      wide[at++] = g;
      wide[at++] = b;
    }
  }
  let at = 0;
  for (const {first, weights} of rows) {
    for (let x = 0; x < size.width * 3; x++) {
      let sum = 0;
      let from = (first - firstRow) * size.width * 3 + x;
      for (const weight of weights) {
        sum += weight * wide[from]!;
        from += size.width * 3;
      }
      into[at++] = Math.max(0, Math.min(255, Math.round(sum)));
    }
  }
}
