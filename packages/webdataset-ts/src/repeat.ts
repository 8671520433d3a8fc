// Epoch after epoch, each with an order of its own.
import {WebDatasetError} from './errors.ts';
import {type JsonValue, requireCount, type Source, type Stated, stateCount, stateObject} from './types.ts';

export type RepeatState = {
  epoch: number;
  /** The epoch's own state; null: its beginning. A state {epoch, source: null} starts any epoch anew. */
  source: JsonValue;
};

/**
 * The epochs one after the other, endlessly or `epochs` of them. `open` gets the epoch's number to pass on to the stages
 * that shuffle. An epoch that gives nothing at all is an error, for the next would not either.
 */
export function repeat<T extends Stated>(
  open: (epoch: number) => Source<T>,
  options: {epochs?: number} = {},
): Source<T> {
  const {epochs = Number.POSITIVE_INFINITY} = options;
  if (epochs !== Number.POSITIVE_INFINITY) requireCount(epochs, 'epochs');

  return async function* repeated(state?: JsonValue): AsyncGenerator<T> {
    const fields = state === undefined ? undefined : stateObject(state, 'repeat');
    const first = fields ? stateCount(fields, 'epoch', 'repeat') : 0;
    let resume = fields?.source ?? null;
    for (let epoch = first; epoch < epochs; epoch++) {
      let isEmpty = resume === null;
      for await (const item of open(epoch)(resume === null ? undefined : resume)) {
        isEmpty = false;
        const after: RepeatState = {epoch, source: item.state};
        yield {...item, state: after};
      }
      if (isEmpty)
        throw new WebDatasetError('empty-epoch', `epoch ${epoch} has no sample; check the shards and the split`);
      resume = null;
    }
  };
}
