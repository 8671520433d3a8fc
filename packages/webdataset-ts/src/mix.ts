// Several sources as one: by weights, or in strict turns.
import {WebDatasetError} from './errors.ts';
import {keyOf, uniformAt} from './random.ts';
import {type JsonValue, requireCount, type Source, type Stated, stateCount, stateObject} from './types.ts';

export type MixState = {
  /** Draws made. */
  draws: number;
  /** Each source's state; null: not begun, 'ended': it is used up. */
  sources: JsonValue[];
};

const MIX = 3; // what the key of the draws is for
const ENDED = 'ended';

/** Opens every source where the state says; `undefined` stands for one that has ended. */
function openAll<T extends Stated>(sources: readonly Source<T>[], states: readonly JsonValue[]) {
  return sources.map((source, index) => {
    const state = states[index] ?? null;
    if (state === ENDED) return undefined;
    return source(state === null ? undefined : state)[Symbol.asyncIterator]();
  });
}

function parseState(state: JsonValue | undefined, count: number, stage: string): MixState {
  if (state === undefined) return {draws: 0, sources: Array.from({length: count}, () => null)};
  const fields = stateObject(state, stage);
  const {sources} = fields;
  if (!Array.isArray(sources) || sources.length !== count) {
    const found = Array.isArray(sources) ? sources.length : 'none';
    throw new WebDatasetError(
      'state-mismatch',
      `the state of ${stage} must have ${count} sources, found ${found}; use the same list`,
    );
  }
  return {draws: stateCount(fields, 'draws', stage), sources: [...sources]};
}

/**
 * Draws each item from a source chosen by weight; the draws are a function of (seed, draw number). When a source ends the
 * others go on with their weights (`until: 'all'`, default), or everything ends (`until: 'first'`). Endless mixing:
 * `repeat` each source first.
 */
export function mix<T extends Stated>(
  parts: readonly {source: Source<T>; weight: number}[],
  options: {seed: number; epoch?: number; until?: 'all' | 'first'},
): Source<T> {
  const {seed, epoch = 0, until = 'all'} = options;
  requireCount(seed, 'seed', 0);
  requireCount(epoch, 'epoch', 0);
  if (parts.length === 0) throw new WebDatasetError('bad-option', 'mix needs at least one source, found none');
  for (const {weight} of parts) {
    if (!(weight > 0 && Number.isFinite(weight))) {
      throw new WebDatasetError(
        'bad-option',
        `the weight of a source must be a finite number above 0, found ${weight}`,
      );
    }
  }
  const key = keyOf(seed, MIX, epoch);

  return async function* mixed(state?: JsonValue): AsyncGenerator<T> {
    const parsed = parseState(state, parts.length, 'mix');
    const states = parsed.sources;
    const iterators = openAll(
      parts.map(part => part.source),
      states,
    );
    try {
      for (let draw = parsed.draws; iterators.some(iterator => iterator); draw++) {
        const chosen = choose(parts, index => iterators[index] !== undefined, uniformAt(key, draw));
        const next = await iterators[chosen]!.next();
        if (next.done) {
          iterators[chosen] = undefined;
          states[chosen] = ENDED;
          if (until === 'first') return;
          continue;
        }
        states[chosen] = next.value.state;
        const after: MixState = {draws: draw + 1, sources: [...states]};
        yield {...next.value, state: after};
      }
    } finally {
      for (const iterator of iterators) await iterator?.return?.();
    }
  };
}

function choose(parts: readonly {weight: number}[], isOpen: (index: number) => boolean, uniform: number): number {
  let total = 0;
  parts.forEach((part, index) => {
    if (isOpen(index)) total += part.weight;
  });
  let left = uniform * total;
  let chosen = 0;
  for (const [index, {weight}] of parts.entries()) {
    if (!isOpen(index)) continue;
    chosen = index;
    left -= weight;
    if (left < 0) break;
  }
  return chosen;
}

/**
 * One item from each source in turn, until the source whose turn it is has ended. Over the parts of a split by sample this
 * gives back the order of the whole, for any number of parts.
 */
export function interleave<T extends Stated>(sources: readonly Source<T>[]): Source<T> {
  if (sources.length === 0) throw new WebDatasetError('bad-option', 'interleave needs at least one source, found none');
  return async function* interleaved(state?: JsonValue): AsyncGenerator<T> {
    const parsed = parseState(state, sources.length, 'interleave');
    const iterators = openAll(sources, parsed.sources);
    try {
      for (let draw = parsed.draws; ; draw++) {
        const turn = draw % sources.length;
        const next = await iterators[turn]?.next();
        if (!next || next.done) return;
        parsed.sources[turn] = next.value.state;
        const after: MixState = {draws: draw + 1, sources: [...parsed.sources]};
        yield {...next.value, state: after};
      }
    } finally {
      for (const iterator of iterators) await iterator?.return?.();
    }
  };
}
