// Runs a model's steps on overlapping strips of rows, with exactly the numbers of the whole frame up to rounding: every strip
// is read with the rows around it that its convolutions see, and whole-frame operations (GroupNorm's statistics, the keys of
// attention) are gathered over all strips first (src/layers/strips.ts). So there is nothing to blend and no seam. Strips
// span the width because rows are contiguous in memory and have two borders where tiles have four.
import {
  disposeStripPass,
  type StripPass,
  StripPause,
  type StripStep,
  settleStripPass,
  withStripPass,
} from '../layers/strips.ts';
import * as tf from '../tf.ts';
import {emptyRows, type RowMap, readRows, releaseRows, writeRows} from './row_maps.ts';

export interface StripOptions {
  /** Rows of a step's input at a time, its halo not counted. */
  readonly rows: number;
  /** The inputs are not needed afterwards: their rows are let go of as they are used up. */
  readonly consume?: boolean;
  /** Called after every strip: the engine may give back what it keeps of freed tensors. */
  readonly trim?: (() => void) | undefined;
}

/** One step over whole maps. With GroupNorms and attentions inside it makes a pass more for each. */
export function runStep(
  inputs: readonly RowMap[],
  step: StripStep,
  {rows, consume = false, trim}: StripOptions,
): RowMap {
  const [first] = inputs;
  if (!first) throw new Error('There are no maps to run a step on.');
  const [n, height, width] = first.shape;
  const {halo, scale, channels} = step;
  const each = scale === 0.5 ? Math.max(2, rows - (rows % 2)) : Math.max(1, rows);
  const out = emptyRows([n, Math.ceil(height * scale), Math.ceil(width * scale), channels], first.store);
  const pass: StripPass = {core: {first: 0, rows: 0, read: 0}, norms: new Map(), keys: new Map(), gathering: undefined};
  const strip = (from: number, to: number): void => {
    const begin = Math.max(0, from - halo);
    const end = Math.min(height, to + halo);
    pass.core = {first: from - begin, rows: to - from, read: end - begin};
    tf.tidy(() => {
      const y = withStripPass(pass, () => step.run(...inputs.map(map => readRows(map, begin, end))));
      const at = Math.ceil(from * scale);
      const [, , w, c] = y.shape;
      const size: [number, number, number, number] = [n, Math.ceil(to * scale) - at, w, c];
      writeRows(out, at, tf.slice(y, [0, (from - begin) * scale, 0, 0], size));
    });
    if (consume) for (const map of inputs) releaseRows(map, to === height ? height : Math.max(0, to - halo));
  };
  /** Whether every strip came through. */
  const over = (): boolean => {
    for (let from = 0; from < height; from += each) {
      try {
        strip(from, Math.min(height, from + each));
      } catch (error) {
        if (!(error instanceof StripPause)) throw error;
      }
      trim?.();
    }
    return pass.gathering === undefined;
  };
  try {
    while (!over()) settleStripPass(pass);
    return out;
  } finally {
    disposeStripPass(pass);
  }
}
