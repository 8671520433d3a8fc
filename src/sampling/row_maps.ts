// A feature map parked in host memory, row by row: what lies between two steps that run on strips, so that the engine holds
// one strip at a time. Rows are let go of as soon as nothing reads them any more.
import * as tf from '../tf.ts';

export interface RowMap {
  /** [N,H,W,C] */
  readonly shape: readonly [number, number, number, number];
  /** Row y of image n, [W*C]; undefined before it is written and after it is let go. */
  readonly rows: (Float32Array | undefined)[][];
}

export function emptyRows(shape: RowMap['shape']): RowMap {
  return {
    shape,
    rows: Array.from({length: shape[0]}, () => new Array<Float32Array | undefined>(shape[1]).fill(undefined)),
  };
}

export function rowsOf(map: tf.Tensor4D): RowMap {
  const parked = emptyRows(map.shape);
  writeRows(parked, 0, map);
  return parked;
}

/** Writes a strip [N,rows,W,C] from row `at` on. */
export function writeRows({shape: [n, , w, c], rows}: RowMap, at: number, strip: tf.Tensor4D): void {
  const data = strip.dataSync<'float32'>();
  const count = strip.shape[1];
  const width = w * c;
  for (let i = 0; i < n; i++)
    for (let y = 0; y < count; y++) rows[i]![at + y] = data.slice((i * count + y) * width, (i * count + y + 1) * width);
}

/** Rows from .. to-1 as a tensor [N,to-from,W,C]. */
export function readRows({shape: [n, , w, c], rows}: RowMap, from: number, to: number): tf.Tensor4D {
  const width = w * c;
  const data = new Float32Array(n * (to - from) * width);
  for (let i = 0; i < n; i++) {
    for (let y = from; y < to; y++) {
      const row = rows[i]![y];
      if (!row) throw new Error(`Row ${y} of a parked map is not there.`);
      data.set(row, (i * (to - from) + y - from) * width);
    }
  }
  return tf.tensor4d(data, [n, to - from, w, c], 'float32');
}

/** Lets go of the rows before `before`. */
export function releaseRows({rows}: RowMap, before: number): void {
  for (const image of rows) for (let y = before - 1; y >= 0 && image[y]; y--) image[y] = undefined;
}

/** The whole map as one tensor. */
export function wholeMap(map: RowMap): tf.Tensor4D {
  return readRows(map, 0, map.shape[1]);
}
