// Running layers on strips of rows, with the numbers of the whole frame. Convolutions see only a few rows around a row; what
// sees the whole frame are GroupNorm's statistics and attention's keys and values. Each of those, met within strips for the
// first time, takes its share from every strip and pauses the pass; in the next pass it knows the whole frame. The pass is
// run by src/sampling/strips.ts; this file is what layers ask.
import * as tf from '../tf.ts';

/** A layer as a step that works on strips of rows. */
export interface StripStep {
  /** Rows of the input on either side that a row needs. */
  readonly halo: number;
  /** Rows out for a row in. */
  readonly scale: 0.5 | 1 | 2;
  /** Channels out. */
  readonly channels: number;
  /** Heads of an attention of every place to every other inside the step; absent: none. */
  readonly heads?: number;
  /** Maps as large as the larger of input and output that live at once inside, where they are more than in a residual block. */
  readonly copies?: number;
  /** Rows [N,rows,W,C] of each input -> rows out; wrong in the halo, right in what lies between. */
  run(...inputs: tf.Tensor4D[]): tf.Tensor4D;
}

/** Applies a step to maps of rows, whatever they are to whoever parks them; `last`: nobody reads these maps again. */
export type StripRunner<Map> = (step: StripStep, maps: readonly Map[], last: boolean) => Map;

/** Steps one after the other; what lies between two of them is read once. `last` is of the first one's inputs. */
export function runSteps<Map>(
  run: StripRunner<Map>,
  steps: readonly StripStep[],
  inputs: readonly Map[],
  last: boolean,
): Map {
  const [first, ...rest] = steps;
  if (!first) throw new Error('There is no step to run.');
  return rest.reduce((map, step) => run(step, [map], true), run(first, inputs, last));
}

/** Of a whole frame (or clip): mean and 1 / deviation, [N,1,G,1]. */
export interface WholeStatistics {
  readonly mean: tf.Tensor;
  readonly rstd: tf.Tensor;
}

/** Thrown where a pass cannot go on before every strip has been there. */
export class StripPause extends Error {}

/** What whole-frame operations know and gather while a step runs over its strips. */
export interface StripPass {
  /** Of the `read` rows that the step was given, those that count: `rows` from `first` on. */
  core: {first: number; rows: number; read: number};
  readonly norms: Map<object, {mean: Float64Array; variance: Float64Array}>;
  readonly keys: Map<object, tf.Tensor3D[]>;
  /** The operation that this pass gathers for; set by the first strip. */
  gathering: Gathering | undefined;
}

type Gathering =
  | {
      readonly kind: 'norm';
      readonly block: object;
      count: number;
      readonly mean: Float64Array;
      readonly squares: Float64Array;
    }
  | {readonly kind: 'keys'; readonly block: object; readonly parts: tf.Tensor3D[][]};

let active: StripPass | undefined;

/** Runs `fn` with whole-frame operations answering to `pass`. */
export function withStripPass<T>(pass: StripPass, fn: () => T): T {
  const before = active;
  active = pass;
  try {
    return fn();
  } finally {
    active = before;
  }
}

/** What a finished pass gathered becomes known. */
export function settleStripPass(pass: StripPass): void {
  const {gathering} = pass;
  if (gathering?.kind === 'norm') {
    const {block, count, mean, squares} = gathering;
    pass.norms.set(block, {mean, variance: squares.map(sum => sum / count)});
  } else if (gathering?.kind === 'keys') {
    pass.keys.set(
      gathering.block,
      gathering.parts.map(parts => {
        const whole = tf.keep(tf.concat(parts, 1));
        tf.dispose(parts);
        return whole;
      }),
    );
  }
  pass.gathering = undefined;
}

export function disposeStripPass(pass: StripPass): void {
  tf.dispose([...pass.keys.values()].flat());
  if (pass.gathering?.kind === 'keys') tf.dispose(pass.gathering.parts.flat());
}

/**
 * Mean and 1/deviation [N,1,G,1] of the whole frame for a GroupNorm that meets the rows x, [N,rows,W,C] or [B,T,rows,W,C];
 * undefined outside of strips.
 */
export function stripStatistics(
  block: object,
  x: tf.Tensor4D | tf.Tensor5D,
  {groups, epsilon}: {groups: number; epsilon: number},
): WholeStatistics | undefined {
  if (!active) return undefined;
  const known = active.norms.get(block);
  const n = x.shape[0];
  if (!known) {
    gatherNorm(active, block, x, groups);
    throw new StripPause();
  }
  const column = (values: Float64Array) => tf.tensor(Float32Array.from(values), [n, 1, groups, 1]);
  return {mean: column(known.mean), rstd: column(known.variance.map(value => 1 / Math.sqrt(value + epsilon)))};
}

/** Means and summed squares of strips, joined in float64 (Chan et al. 1979, the parallel form of Welford's sums). */
function gatherNorm(pass: StripPass, block: object, x: tf.Tensor, groups: number): void {
  const [mean, variance, count] = tf.tidy(() => {
    const rowAxis = x.rank - 3;
    const begin = x.shape.map((_, axis) => (axis === rowAxis ? pass.core.first : 0));
    const size = x.shape.map((extent, axis) => (axis === rowAxis ? pass.core.rows : extent));
    const core = tf.slice(x, begin, size);
    const [n = 1, channels = 1] = [x.shape[0], x.shape.at(-1)];
    const own = tf.moments(tf.reshape(core, [n, -1, groups, channels / groups]), [1, 3]);
    return [own.mean.dataSync(), own.variance.dataSync(), core.size / (n * groups)] as const;
  });
  if (!pass.gathering) {
    const zeros = () => new Float64Array(mean.length);
    pass.gathering = {kind: 'norm', block, count: 0, mean: zeros(), squares: zeros()};
  }
  const sums = pass.gathering;
  if (sums.kind !== 'norm' || sums.block !== block) throw new Error('Strips of one step took different ways.');
  const total = sums.count + count;
  for (let i = 0; i < mean.length; i++) {
    const delta = mean[i]! - sums.mean[i]!;
    sums.mean[i]! += (delta * count) / total;
    sums.squares[i]! += variance[i]! * count + (delta * delta * sums.count * count) / total;
  }
  sums.count = total;
}

/**
 * Keys and values of the whole frame for an attention that meets the tokens of some rows, [N,rows*W,C]: made by `make` from
 * each strip's own; undefined outside of strips.
 */
export function stripKeys(
  block: object,
  tokens: tf.Tensor3D,
  make: (core: tf.Tensor3D) => [tf.Tensor3D, tf.Tensor3D],
): [tf.Tensor3D, tf.Tensor3D] | undefined {
  if (!active) return undefined;
  const known = active.keys.get(block);
  if (known) return known as [tf.Tensor3D, tf.Tensor3D];
  const [n, length, c] = tokens.shape;
  const {first, rows, read} = active.core;
  const width = length / read;
  const made = tf.tidy(() => {
    const parts = make(tf.slice(tokens, [0, first * width, 0], [n, rows * width, c]));
    return parts.map(part => tf.keep(part));
  });
  active.gathering ??= {kind: 'keys', block, parts: made.map(() => [])};
  const {gathering} = active;
  if (gathering.kind !== 'keys' || gathering.block !== block)
    throw new Error('Strips of one step took different ways.');
  for (const [i, part] of made.entries()) gathering.parts[i]!.push(part);
  throw new StripPause();
}
