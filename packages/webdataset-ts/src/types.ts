// What flows through the pipeline: plain objects that carry the state which resumes after them.
import {WebDatasetError} from './errors.ts';

export type JsonValue = null | boolean | number | string | JsonValue[] | {[key: string]: JsonValue};

/** Anything that flows: `state` is a small JSON value; given back to the same source, reading goes on after this item. */
export interface Stated {
  readonly state: JsonValue;
}

/** One sample as it lies in the shard: the members' bytes by extension (lower case, without the first dot). */
export interface Sample extends Stated {
  readonly key: string;
  /** The shard's address without credentials and query. */
  readonly shard: string;
  /** Each value owns its whole ArrayBuffer, so it may be transferred to a worker. The object has no prototype. */
  readonly members: Readonly<Record<string, Uint8Array>>;
}

/**
 * A stream that can be reopened: called without a state it starts at the beginning, called with the state of an item it
 * goes on after that item. Stages with a memory (shuffle, mix, repeat) take and give sources; the others take and give
 * plain async iterables.
 */
export type Source<T extends Stated> = (state?: JsonValue) => AsyncIterable<T>;

/** What is believed of a shard before it is refused; every number may be raised by the caller. */
export interface Limits {
  /** Bytes of one member. */
  memberBytes: number;
  /** Bytes of all members of one sample: the largest amount read into memory at once. */
  sampleBytes: number;
  /** Members of one sample. */
  sampleMembers: number;
  /** Bytes of one PAX header or GNU long name. */
  headerBytes: number;
  /** Bytes of one member's name. */
  nameBytes: number;
}

export const defaultLimits: Readonly<Limits> = {
  memberBytes: 2 ** 30,
  sampleBytes: 2 ** 30,
  sampleMembers: 1024,
  headerBytes: 2 ** 20,
  nameBytes: 4096,
};

/** The state as an object whose fields are still to be checked; refuses anything else by name. */
export function stateObject(state: JsonValue, stage: string): Record<string, JsonValue> {
  if (state !== null && typeof state === 'object' && !Array.isArray(state)) return state;
  throw new WebDatasetError(
    'bad-state',
    `the state of ${stage} must be an object as its items carry it, found ${JSON.stringify(state).slice(0, 80)}`,
  );
}

/** A field of a state that must be a count. */
export function stateCount(fields: Record<string, JsonValue>, name: string, stage: string): number {
  const value = fields[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new WebDatasetError(
    'bad-state',
    `the state of ${stage} must have a count ${name}, found ${JSON.stringify(value ?? null).slice(0, 80)}`,
  );
}

/** Refuses an option that is not a whole number of at least `least`. */
export function requireCount(value: number, name: string, least = 1): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new WebDatasetError('bad-option', `${name} must be a whole number of at least ${least}, found ${value}`);
  }
}
