// A feature map parked in host memory, row by row: what lies between two steps that run on strips, so that the engine holds
// one strip at a time. Rows are let go of as soon as nothing reads them any more.
import * as tf from '../tf.ts';
import {freePage, pageOf, type RowStore, takePage} from './row_store.ts';

export interface RowMap {
  /** [N,H,W,C] */
  readonly shape: readonly [number, number, number, number];
  readonly store: RowStore;
  /** Pages of the numbers in the order [H,N,W,C]; undefined before they are written and after they are let go. */
  readonly pages: (number | undefined)[];
}

/** Numbers that cross between host and engine at a time: what a copy on its way takes. */
const PIECE_FLOATS = 2 ** 20;

export function emptyRows(shape: RowMap['shape'], store: RowStore): RowMap {
  const [n, h, w, c] = shape;
  return {shape, store, pages: new Array<number | undefined>(Math.ceil((n * h * w * c) / store.page)).fill(undefined)};
}

export function rowsOf(map: tf.Tensor4D, store: RowStore): RowMap {
  const parked = emptyRows(map.shape, store);
  writeRows(parked, 0, map);
  return parked;
}

/** Writes a strip [N,rows,W,C] from row `at` on. */
export function writeRows(map: RowMap, at: number, strip: tf.Tensor4D): void {
  const [n, rows, w, c] = strip.shape;
  const width = w * c;
  for (const [from, to] of pieces(0, rows, n * width)) {
    // Not in a tidy, which would look for tensors among the numbers.
    const part = tf.slice(strip, [0, from, 0, 0], [n, to - from, w, c]);
    const piece = part.dataSync<'float32'>();
    part.dispose();
    for (let y = from; y < to; y++)
      for (let i = 0; i < n; i++) {
        const start = (i * (to - from) + y - from) * width;
        copy(map, ((at + y) * n + i) * width, piece.subarray(start, start + width), 'write');
      }
  }
}

/** Rows from .. to-1 as a tensor [N,to-from,W,C]. */
export function readRows(map: RowMap, from: number, to: number): tf.Tensor4D {
  const [n, , w, c] = map.shape;
  const width = w * c;
  return tf.tidy(() => {
    const parts = pieces(from, to, n * width).map(([begin, end]) => {
      const rows = end - begin;
      const data = new Float32Array(n * rows * width);
      for (let y = 0; y < rows; y++)
        for (let i = 0; i < n; i++) {
          const start = (i * rows + y) * width;
          copy(map, ((begin + y) * n + i) * width, data.subarray(start, start + width), 'read');
        }
      return tf.tensor4d(data, [n, rows, w, c], 'float32');
    });
    return parts.length === 1 ? parts[0]! : tf.concat(parts, 1);
  });
}

/** Lets go of the rows before `before`. */
export function releaseRows({shape: [n, h, w, c], store, pages}: RowMap, before: number): void {
  const whole = before >= h ? pages.length : Math.floor((before * n * w * c) / store.page);
  for (let i = whole - 1; i >= 0; i--) {
    const page = pages[i];
    if (page === undefined) return;
    freePage(store, page);
    pages[i] = undefined;
  }
}

/** The whole map as one tensor; it is parked no longer. */
export function wholeMap(map: RowMap): tf.Tensor4D {
  const whole = readRows(map, 0, map.shape[1]);
  releaseRows(map, map.shape[1]);
  return whole;
}

/** Rows from .. to-1 in pieces of at most PIECE_FLOATS numbers, at least one row each. */
function pieces(from: number, to: number, rowFloats: number): [number, number][] {
  const rows = Math.max(1, Math.floor(PIECE_FLOATS / rowFloats));
  return Array.from({length: Math.ceil((to - from) / rows)}, (_, i) => [
    from + i * rows,
    Math.min(to, from + (i + 1) * rows),
  ]);
}

/** Numbers from `at` on, to or from `values`, page by page. */
function copy({store, pages}: RowMap, at: number, values: Float32Array, way: 'read' | 'write'): void {
  for (let done = 0; done < values.length; ) {
    const index = Math.floor((at + done) / store.page);
    const within = at + done - index * store.page;
    const count = Math.min(store.page - within, values.length - done);
    let page = pages[index];
    if (page === undefined) {
      if (way === 'read') throw new Error('Rows of a parked map are not there.');
      page = takePage(store);
      pages[index] = page;
    }
    const numbers = pageOf(store, page).subarray(within, within + count);
    const part = values.subarray(done, done + count);
    if (way === 'read') part.set(numbers);
    else numbers.set(part);
    done += count;
  }
}
