// A copy of the training state in memory that is allocated once and used again: copying 1 GiB into fresh memory takes
// seconds (the system clears each page), into used memory a tenth of one. The memory is shared with the writing thread.
import {elements} from '../src/weights/host_tensor.ts';
import {filesOf, type LoadedState, mapTensors, type StateTensor, type TrainState} from './train_state.ts';

export interface SnapshotBuffers {
  /** Allocates what a state of these shapes needs, so that the first snapshot is as fast as the others. */
  reserve(state: TrainState): void;
  /** Copies every tensor; the result is valid until the next call. */
  copy(state: TrainState): Promise<LoadedState>;
  readonly bytes: number;
}

// Below every engine's limit on one buffer; a tensor is never split, one that is larger has a buffer of its own.
const SEGMENT_BYTES = 2 ** 30;
const ALIGNMENT = 64;

export function makeSnapshotBuffers(): SnapshotBuffers {
  let segments: SharedArrayBuffer[] = [];

  /** For each tensor in order, its segment and offset; and the segments' sizes. */
  const plan = (state: TrainState) => {
    const sizes: number[] = [0];
    const places: {segment: number; offset: number}[] = [];
    for (const tensor of tensorsOf(state)) {
      const bytes = 4 * elements(tensor.shape);
      const offset = Math.ceil(sizes.at(-1)! / ALIGNMENT) * ALIGNMENT;
      if (offset > 0 && offset + bytes > SEGMENT_BYTES) sizes.push(bytes);
      else sizes[sizes.length - 1] = offset + bytes;
      places.push({segment: sizes.length - 1, offset: sizes.at(-1)! - bytes});
    }
    return {sizes, places};
  };
  const reserve = (sizes: readonly number[]) => {
    segments = sizes.map((size, i) => {
      const old = segments[i];
      if (old && old.byteLength >= size) return old;
      const made = new SharedArrayBuffer(size);
      // Touch every page now.
      new Uint8Array(made).fill(0);
      return made;
    });
  };
  return {
    reserve: state => reserve(plan(state).sizes),
    copy: async state => {
      const {sizes, places} = plan(state);
      reserve(sizes);
      const next = places.values();
      return mapTensors(state, async ({shape, data}: StateTensor) => {
        const {segment, offset} = next.next().value!;
        const target = new Float32Array(segments[segment]!, offset, elements(shape));
        if (typeof data === 'function') await data(target);
        else target.set(data);
        return target;
      });
    },
    get bytes() {
      return segments.reduce((sum, segment) => sum + segment.byteLength, 0);
    },
  };
}

/** In the order of `mapTensors`. */
function* tensorsOf(state: TrainState): Generator<StateTensor> {
  yield* state.weights.values();
  if (state.ema) yield* state.ema.values();
  for (const tensors of Object.values(state.companions ?? {})) yield* tensors.values();
  for (const tensors of Object.values(state.optimizers)) yield* tensors.values();
}

/** Copies a state into memory of its own, for a writer in the same thread. @throws RangeError for names no file can have. */
export async function settled(state: TrainState): Promise<LoadedState> {
  filesOf(state);
  return mapTensors(state, async ({shape, data}: StateTensor) => {
    if (typeof data !== 'function') return data;
    const target = new Float32Array(elements(shape));
    await data(target);
    return target;
  });
}
