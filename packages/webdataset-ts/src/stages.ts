// Stages without a memory: an async iterable in, one out; the state travels on the items.
import {type ErrorHandler, messageOf, throwError, WebDatasetError} from './errors.ts';
import {type JsonValue, requireCount, type Stated} from './types.ts';

/** What a stage that may fail says of the item it failed on. */
interface Named {
  readonly key?: string;
  readonly shard?: string;
}

export interface MapOptions {
  /** Items worked on at once; results keep the order. Default 1. */
  concurrency?: number;
  /** What happens to an item whose `transform` throws; default: throw. */
  onError?: ErrorHandler;
}

/**
 * Applies a function to every item; undefined drops the item. The result carries the item's state. An error becomes a
 * WebDatasetError of scope 'sample' with the item's shard and key.
 */
export async function* map<T extends Stated & Named, U extends object>(
  items: AsyncIterable<T>,
  transform: (item: T) => U | undefined | Promise<U | undefined>,
  options: MapOptions = {},
): AsyncGenerator<U & Stated> {
  const {concurrency = 1, onError = throwError} = options;
  requireCount(concurrency, 'concurrency');
  type Outcome = {state: JsonValue; value?: U | undefined; error?: WebDatasetError};
  const attempt = async (item: T): Promise<Outcome> => {
    try {
      return {state: item.state, value: await transform(item)};
    } catch (cause) {
      const {shard, key} = item;
      const error =
        cause instanceof WebDatasetError
          ? cause
          : new WebDatasetError('decode', messageOf(cause), {scope: 'sample', shard, key, cause});
      return {state: item.state, error};
    }
  };
  const running: Promise<Outcome>[] = [];
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (let ended = false; ; ) {
      while (!ended && running.length < concurrency) {
        const next = await iterator.next();
        if (next.done) ended = true;
        else running.push(attempt(next.value));
      }
      const first = running.shift();
      if (!first) return;
      const {state, value, error} = await first;
      if (error?.scope === 'run') throw error;
      if (error) await onError(error);
      else if (value !== undefined) yield {...value, state};
    }
  } finally {
    await Promise.all(running); // attempt never rejects
    await iterator.return?.();
  }
}

/** Keeps the items for which `keep` is true. */
export async function* filter<T extends Stated>(
  items: AsyncIterable<T>,
  keep: (item: T) => boolean,
): AsyncGenerator<T> {
  for await (const item of items) if (keep(item)) yield item;
}

/** The first `count` items. */
export async function* take<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  requireCount(count, 'count', 0);
  if (count === 0) return;
  let taken = 0;
  for await (const item of items) {
    yield item;
    if (++taken >= count) return;
  }
}

export interface Batch<T> extends Stated {
  readonly samples: readonly T[];
}

/** Groups of `size` items, each with the state after its last one. The remainder is a smaller batch, or dropped. */
export async function* batch<T extends Stated>(
  items: AsyncIterable<T>,
  size: number,
  options: {remainder?: 'keep' | 'drop'} = {},
): AsyncGenerator<Batch<T>> {
  requireCount(size, 'size');
  let samples: T[] = [];
  for await (const item of items) {
    samples.push(item);
    if (samples.length === size) {
      yield {samples, state: item.state};
      samples = [];
    }
  }
  const last = samples.at(-1);
  if (last && options.remainder !== 'drop') yield {samples, state: last.state};
}

/** Reads up to `ahead` items before they are asked for. Order and states stay; an error comes in its place. */
export async function* prefetch<T>(items: AsyncIterable<T>, ahead: number): AsyncGenerator<T> {
  requireCount(ahead, 'ahead');
  const iterator = items[Symbol.asyncIterator]();
  const queue: T[] = [];
  let ended = false;
  let failure: {error: unknown} | undefined;
  let wakeReader = () => {};
  let wakeConsumer = () => {};
  const reading = (async () => {
    try {
      while (!ended) {
        if (queue.length >= ahead) {
          await new Promise<void>(resolve => {
            wakeReader = resolve;
          });
          continue;
        }
        const next = await iterator.next();
        if (next.done) ended = true;
        else queue.push(next.value);
        wakeConsumer();
      }
    } catch (error) {
      failure = {error};
      ended = true;
      wakeConsumer();
    }
  })();
  try {
    for (;;) {
      if (queue.length > 0) {
        const item = queue.shift()!;
        wakeReader();
        yield item;
      } else if (failure) {
        throw failure.error;
      } else if (ended) {
        return;
      } else {
        await new Promise<void>(resolve => {
          wakeConsumer = resolve;
        });
      }
    }
  } finally {
    ended = true;
    wakeReader();
    await reading;
    await iterator.return?.();
  }
}
