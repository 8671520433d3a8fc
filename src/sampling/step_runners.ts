// The two ways to run a network step by step: on whole maps, and on strips of rows with the maps between two steps parked in
// host memory. Either way nothing outlives the step that reads it last.
import type {StripRunner} from '../layers/strips.ts';
import * as tf from '../tf.ts';
import {stripRows} from './memory_plan.ts';
import type {RowMap} from './row_maps.ts';
import {type RowStore, rowStore} from './row_store.ts';
import {runStep} from './strips.ts';

export interface InSteps {
  /** Absent: maps are whole. */
  readonly strips?: Strips | undefined;
  /** Called where memory was freed: the engine may give back what it keeps of it. */
  readonly trim?: (() => void) | undefined;
}

export interface Strips {
  /** Of one strip, about. */
  readonly bytes: number;
  /** Where maps are parked, one run of the network after another. */
  readonly store: RowStore;
}

/** Strips with a store whose pages are small enough that the ends of maps, one page each at most, are little beside a strip. */
export function stripsOf(bytes: number): Strips {
  const floats = Math.floor(bytes / 4 / PAGES_PER_STRIP);
  return {bytes, store: rowStore(Math.min(LARGEST_PAGE, Math.max(SMALLEST_PAGE, floats)))};
}

const PAGES_PER_STRIP = 512;
const SMALLEST_PAGE = 64;
const LARGEST_PAGE = 2 ** 16;

/**
 * Holds the engine, with what it keeps for reuse, to `bytes` more than TensorFlow.js holds now; undefined where there is no
 * engine to ask or no bound. All that the bound allows is left to it: what is given back is paid for in page faults.
 */
export function trimTo(giveBack: ((bytes: number) => void) | undefined, bytes: number): (() => void) | undefined {
  if (!giveBack || bytes === Number.POSITIVE_INFINITY) return undefined;
  const most = tf.memory().numBytes + bytes;
  return () => giveBack(most);
}

/** Runs steps on whole maps; the first one is disposed of with the others. */
export function onWholeMaps({trim}: InSteps): StripRunner<tf.Tensor4D> {
  return (step, maps, last) => {
    const made = tf.tidy(() => step.run(...maps));
    if (last) tf.dispose([...maps]);
    trim?.();
    return made;
  };
}

/** Runs steps on strips of maps that are in the strips' store. */
export function onStrips({bytes}: Strips, {trim}: InSteps): StripRunner<RowMap> {
  return (step, maps, last) => {
    const [n, h, w] = maps[0]!.shape;
    const joined = [n, h, w, maps.reduce((sum, {shape}) => sum + shape[3], 0)] as const;
    return runStep(maps, step, {rows: stripRows(joined, step, bytes), consume: last, trim});
  };
}
