// Shuffles within windows: read a window, give it in an order that (seed, epoch, window number) fixes. Unlike a buffer of
// random replacement its state is small: where the window began and how many of it were given.
import {keyOf, permutation} from './random.ts';
import {type JsonValue, requireCount, type Source, type Stated, stateCount, stateObject} from './types.ts';

export interface ShuffleOptions<T> {
  seed: number;
  /** Default 0. */
  epoch?: number;
  /** Items per window: about what is held in memory, the one given and the one being filled together. */
  window: number;
  /** Closes a window early once it holds this many bytes; default 1 GiB. */
  windowBytes?: number;
  /** An item's size; default: the bytes of its members. */
  bytesOf?: (item: T) => number;
}

export type ShuffleState = {
  /** The window's number. */
  window: number;
  /** Items of it that were given. */
  given: number;
  /** The source's state at the window's first item; null: its beginning. */
  source: JsonValue;
};

const SHUFFLE = 2; // what the key of the permutation is for

function memberBytes(item: object): number {
  const members: unknown = 'members' in item ? item.members : undefined;
  let bytes = 0;
  for (const value of Object.values(members ?? {})) if (value instanceof Uint8Array) bytes += value.length;
  return bytes;
}

/**
 * Every item exactly once, in another order. While one window is given the next is read, one item for one. Resuming
 * reads the current window again from its beginning, so shuffle before the costly stages.
 */
export function shuffle<T extends Stated>(source: Source<T>, options: ShuffleOptions<T>): Source<T> {
  const {seed, epoch = 0, window: size, windowBytes = 2 ** 30, bytesOf = memberBytes} = options;
  requireCount(seed, 'seed', 0);
  requireCount(epoch, 'epoch', 0);
  requireCount(size, 'window');
  requireCount(windowBytes, 'windowBytes');

  return async function* shuffled(state?: JsonValue): AsyncGenerator<T> {
    const fields = state === undefined ? undefined : stateObject(state, 'shuffle');
    let number = fields ? stateCount(fields, 'window', 'shuffle') : 0;
    let given = fields ? stateCount(fields, 'given', 'shuffle') : 0;
    let start = fields?.source ?? null;
    const iterator = source(start === null ? undefined : start)[Symbol.asyncIterator]();
    let ended = false;

    let filling: T[] = [];
    let bytes = 0;
    const isFull = () => filling.length >= size || bytes >= windowBytes;
    const readOne = async () => {
      const next = await iterator.next();
      if (next.done) {
        ended = true;
      } else {
        filling.push(next.value);
        bytes += bytesOf(next.value);
      }
    };
    try {
      for (;;) {
        while (!ended && !isFull()) await readOne();
        const items: (T | undefined)[] = filling;
        if (items.length === 0) return;
        const end = filling.at(-1)!.state;
        filling = [];
        bytes = 0;
        const order = permutation(keyOf(seed, SHUFFLE, epoch, number), items.length);
        for (let at = given; at < items.length; at++) {
          const item = items[order[at]!]!;
          items[order[at]!] = undefined; // given away: not ours to keep alive
          const isLast = at + 1 === items.length;
          const after: ShuffleState = isLast
            ? {window: number + 1, given: 0, source: end}
            : {window: number, given: at + 1, source: start};
          yield {...item, state: after};
          if (!ended && !isFull()) await readOne();
        }
        start = end;
        number++;
        given = 0;
      }
    } finally {
      await iterator.return?.();
    }
  };
}
