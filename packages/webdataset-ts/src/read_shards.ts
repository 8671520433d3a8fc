// Samples out of shards: the order of an epoch, the split among ranks and workers, and the exact resume.
import {type ErrorCode, type ErrorHandler, throwError, WebDatasetError} from './errors.ts';
import {type Grouped, groupMembers} from './group.ts';
import {forgetShard, type OpenOptions, openShard, prepareShards} from './open.ts';
import {fingerprint, keyOf, permutation} from './random.ts';
import {
  defaultLimits,
  type JsonValue,
  type Limits,
  requireCount,
  type Sample,
  type Source,
  stateCount,
  stateObject,
} from './types.ts';
import {expandUrls, shardName} from './urls.ts';

/** Which part of the samples this reader gets: part rank + ranks * worker of ranks * workers. */
export interface Split {
  rank: number;
  ranks: number;
  worker?: number;
  workers?: number;
  /**
   * 'shard' (default): part p reads the shards p, p + parts, ... of the epoch's order; the first `shards % parts` parts
   * get one shard more. 'sample': every part reads all shards and keeps the samples p, p + parts, ... of the whole order;
   * the first `samples % parts` parts get one sample more.
   */
  by?: 'shard' | 'sample';
}

export interface ReadShardsOptions extends OpenOptions {
  /** Paths or addresses, brace expressions among them; see `expandUrls`. */
  urls: string | readonly string[];
  /** Shuffles the shards by (seed, epoch); without it they come in the order listed. */
  seed?: number;
  /** Which epoch's order; default 0. */
  epoch?: number;
  split?: Split;
  /** Only members with these extensions are read; the others are passed over. A sample may then have no members. */
  extensions?: readonly string[];
  limits?: Partial<Limits>;
  /** Default: throw. */
  onError?: ErrorHandler;
  /** Resume after the sample that carried this. */
  state?: JsonValue | undefined;
}

/** Where reading goes on: the last sample given, by shard of this part's order, byte and key. */
export type ShardState = {
  /** Fingerprint of shard names, order and split. */
  list: string;
  shard: number;
  /** The last sample's first byte, key and index in its shard. */
  at: number;
  key: string;
  index: number;
  /** Samples of the whole order before this shard, for splits by sample. */
  before: number;
  packed: boolean;
};

const STAGE = 'readShards';
const MOST_AFTER_END = 2 ** 20;
const DAMAGE: ReadonlySet<ErrorCode> = new Set([
  'bad-checksum',
  'bad-header',
  'bad-end',
  'truncated',
  'header-too-large',
]);
const SHARD_ORDER = 1; // what the key of the permutation is for

/** The shards one part reads in one epoch, in order. */
export function shardOrder(options: Pick<ReadShardsOptions, 'urls' | 'seed' | 'epoch' | 'split'>): string[] {
  const urls = expandUrls(options.urls);
  const epoch = options.epoch ?? 0;
  requireCount(epoch, 'epoch', 0);
  if (options.seed !== undefined) requireCount(options.seed, 'seed', 0);
  const order =
    options.seed === undefined
      ? urls
      : Array.from(permutation(keyOf(options.seed, SHARD_ORDER, epoch), urls.length), index => urls[index]!);
  const {part, parts, by} = partOf(options.split);
  if (by === 'sample') return order;
  if (order.length < parts) {
    throw new WebDatasetError(
      'bad-option',
      `${order.length} shards cannot be split among ${parts} readers; use split.by 'sample', fewer readers or more shards`,
    );
  }
  return order.filter((_, index) => index % parts === part);
}

/** How many of `total` shards (or samples) part `part` of `parts` gets. */
export function shareOf(total: number, parts: number, part: number): number {
  return Math.floor(total / parts) + (part < total % parts ? 1 : 0);
}

function partOf(split: Split | undefined): {part: number; parts: number; by: 'shard' | 'sample'} {
  if (!split) return {part: 0, parts: 1, by: 'shard'};
  const {rank, ranks, worker = 0, workers = 1, by = 'shard'} = split;
  requireCount(ranks, 'split.ranks');
  requireCount(workers, 'split.workers');
  requireCount(rank, 'split.rank', 0);
  requireCount(worker, 'split.worker', 0);
  if (rank >= ranks)
    throw new WebDatasetError('bad-option', `split.rank must be below split.ranks ${ranks}, found ${rank}`);
  if (worker >= workers) {
    throw new WebDatasetError('bad-option', `split.worker must be below split.workers ${workers}, found ${worker}`);
  }
  return {part: rank + ranks * worker, parts: ranks * workers, by};
}

function parseState(state: JsonValue, list: string, shards: number): ShardState {
  const fields = stateObject(state, STAGE);
  const count = (name: string) => stateCount(fields, name, STAGE);
  const {key, packed} = fields;
  if (fields.list !== list) {
    throw new WebDatasetError(
      'state-mismatch',
      'the state was saved for another list of shards, seed, epoch or split; resume with the same ones or start an epoch anew',
    );
  }
  if (typeof key !== 'string' || typeof packed !== 'boolean' || count('shard') >= shards) {
    throw new WebDatasetError('bad-state', `the state of ${STAGE} lacks a key, packed or a shard below ${shards}`);
  }
  return {list, shard: count('shard'), at: count('at'), key, index: count('index'), before: count('before'), packed};
}

/**
 * One epoch of samples. Each carries the state that resumes after it: a seek in a plain tar, an unpacking of what came
 * before in a gzip'd one. Samples keep the shard's order; only the order of the shards is shuffled here.
 */
export async function* readShards(options: ReadShardsOptions): AsyncGenerator<Sample> {
  const shards = shardOrder(options);
  const {part, parts, by} = partOf(options.split);
  const names = shards.map(shardName);
  const list = fingerprint(JSON.stringify([names, options.epoch ?? 0, part, parts, by]));
  const handle = options.onError ?? throwError;
  const extensions = options.extensions && new Set(options.extensions.map(extension => extension.toLowerCase()));
  const limits = {...defaultLimits, ...options.limits};
  let resume = options.state === undefined ? undefined : parseState(options.state, list, shards.length);
  let before = resume?.before ?? 0;

  const leaving = new AbortController();
  let preparing: Promise<void> = Promise.resolve();
  try {
    for (let shard = resume?.shard ?? 0; shard < shards.length; shard++) {
      const name = names[shard]!;
      let count = resume ? resume.index + 1 : 0;
      let last = resume;
      let open: Awaited<ReturnType<typeof openShard>> | undefined;
      const shardStart = before;
      const mine = (index: number) => by === 'shard' || (shardStart + index) % parts === part;
      try {
        open = await openShard(shards[shard]!, options, resume?.at, resume?.packed);
        const following = shards.slice(shard + 1);
        preparing = preparing.then(() => prepareShards(following, options, leaving.signal));
        const groups = groupMembers(open.reader, {
          limits,
          firstIndex: resume?.index ?? 0,
          wanted: index => {
            count = index + 1;
            return index === resume?.index || mine(index);
          },
          extensions,
        });
        for await (const group of groups) {
          if (last) {
            checkResumed(group, last, name);
            last = undefined;
            continue;
          }
          if (group.error) {
            await handle(group.error);
            continue;
          }
          const {key, members, start: at, index} = group;
          const state: ShardState = {list, shard, at, key, index, before, packed: open.packed};
          yield {key, shard: name, members, state};
        }
        if (last) checkResumed(undefined, last, name);
        if (open.packed) await open.reader.drain(MOST_AFTER_END); // gzip's checksum is at its end
      } catch (error) {
        if (last && error instanceof WebDatasetError && DAMAGE.has(error.code)) throw changed(last, name, error);
        if (!(error instanceof WebDatasetError) || error.scope !== 'shard') throw error;
        if (DAMAGE.has(error.code)) await forgetShard(shards[shard]!, options);
        await handle(error);
      } finally {
        await open?.reader.close();
      }
      resume = undefined;
      before += count;
    }
  } finally {
    leaving.abort();
    await preparing;
  }
}

/** The sample at the state's byte must be the one it was saved after. */
function checkResumed(found: Grouped | undefined, state: ShardState, shard: string): void {
  if (found?.key !== state.key) throw changed(state, shard, undefined);
}

function changed(state: ShardState, shard: string, cause: unknown): WebDatasetError {
  return new WebDatasetError(
    'state-mismatch',
    `the sample ${state.key} is not at byte ${state.at} any more: the shard has changed since the state was saved`,
    {scope: 'run', shard, cause},
  );
}

/**
 * Reads again the one sample that a state of `readShards` was saved after, with the same options. Throws WebDatasetError
 * 'state-mismatch' when it is not there any more.
 */
export async function readSample(options: Omit<ReadShardsOptions, 'state'> & {state: JsonValue}): Promise<Sample> {
  const shards = shardOrder(options);
  const {part, parts, by} = partOf(options.split);
  const list = fingerprint(JSON.stringify([shards.map(shardName), options.epoch ?? 0, part, parts, by]));
  const state = parseState(options.state, list, shards.length);
  const name = shardName(shards[state.shard]!);
  const extensions = options.extensions && new Set(options.extensions.map(extension => extension.toLowerCase()));
  const limits = {...defaultLimits, ...options.limits};
  const {reader} = await openShard(shards[state.shard]!, options, state.at, state.packed);
  try {
    for await (const {key, members, error} of groupMembers(reader, {
      limits,
      firstIndex: state.index,
      wanted: index => index === state.index,
      extensions,
    })) {
      if (error || key !== state.key) throw changed(state, name, error);
      return {key, shard: name, members, state};
    }
    throw changed(state, name, undefined);
  } catch (error) {
    if (error instanceof WebDatasetError && DAMAGE.has(error.code)) throw changed(state, name, error);
    throw error;
  } finally {
    await reader.close();
  }
}

/** `readShards` as a source for `shuffle`, `mix` and `repeat`. */
export function shardSource(options: Omit<ReadShardsOptions, 'state'>): Source<Sample> {
  return state => readShards({...options, state});
}
