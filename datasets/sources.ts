// Samples out of one or several sources: epoch after epoch of each, drawn by weight. What comes, and in which order, is a
// function of (seed, draw); the position after each sample resumes exactly.
import {
  type JsonValue,
  type Sample,
  type Source,
  shardName,
  shardSource,
  shuffle,
  WebDatasetError,
} from 'webdataset-ts';
import {uniforms} from '../src/random/index.ts';
import type {BadSampleReport} from './batch.ts';
import type {DataPart, ResolvedData, ResolvedSource} from './data_config.ts';
import {digest} from './digest.ts';
import {memberExtensions} from './sample.ts';
import {damageTo, readable} from './shard_errors.ts';

/** Where one source is: `state` resumes within the epoch, null is the epoch's beginning. */
export type SourcePlace = {
  epoch: number;
  state: JsonValue;
  /** Tells other shards, another shuffling or another split: then the state means nothing. */
  of: string;
};

/** Where the mixture is. */
export type SourcesPosition = {
  draws: number;
  /** null: used up. */
  sources: (SourcePlace | null)[];
};

/** Where one sample lies, to read it again by itself. */
export type SampleOrigin = {
  source: number;
  epoch: number;
  /** `ShardState` of the sample before it was shuffled. */
  shard: JsonValue;
  of: string;
};

export interface SourcedSample {
  sample: Pick<Sample, 'key' | 'shard' | 'members'>;
  origin: SampleOrigin;
  position: SourcesPosition;
}

/** What comes out of the sources, in order. */
export type SourceEvent =
  | SourcedSample
  | {report: BadSampleReport}
  /** `whole`: this process has seen the epoch from its beginning. */
  | {epochEnded: number; source: number; whole: boolean}
  | {note: string};

/** A window of large samples closes early: the bound on what shuffling keeps in memory. */
const shuffleBytes = 256 * 2 ** 20;

type Traced = Sample & {shardState: JsonValue};

/** Opens one epoch of a source. */
function epochOf(
  {shards}: ResolvedSource,
  data: ResolvedData,
  part: DataPart,
  epoch: number,
  onError: (error: WebDatasetError) => void,
): Source<Traced> {
  const source = traced(shardSource({...shardOptions(shards, data, part, epoch), onError}));
  if (data.shuffle <= 1) return source;
  return shuffle(source, {seed: part.seed, epoch, window: data.shuffle, windowBytes: shuffleBytes});
}

function shardOptions(
  urls: readonly string[],
  {remote}: ResolvedData,
  {seed, rank, worldSize}: DataPart,
  epoch: number,
) {
  // By shards where there are enough to share evenly: then no rank reads what is another's.
  const by = urls.length >= 4 * worldSize ? 'shard' : 'sample';
  return {urls, seed, epoch, split: {rank, ranks: worldSize, by} as const, extensions: memberExtensions, ...remote};
}

/** The sample's own state beside the one that shuffling gives it. */
function traced(source: Source<Sample>): Source<Traced> {
  return async function* (state) {
    for await (const sample of source(state)) yield {...sample, shardState: sample.state};
  };
}

/** What a source's state belongs to. */
export function sourceMark(
  {shards}: ResolvedSource,
  {shuffle}: ResolvedData,
  {seed, rank, worldSize}: DataPart,
): string {
  return digest(JSON.stringify([shards.map(shardName), shuffle, seed, rank, worldSize])).slice(0, 16);
}

/** One source's events, epoch after epoch; the places are of this source alone. */
async function* eventsOf(
  source: number,
  data: ResolvedData,
  part: DataPart,
  start: SourcePlace,
): AsyncGenerator<Exclude<SourceEvent, SourcedSample> | (Omit<SourcedSample, 'position'> & {place: SourcePlace})> {
  const config = data.sources[source]!;
  const {of} = start;
  for (let epoch = start.epoch; ; epoch++) {
    const state = epoch === start.epoch && start.state !== null ? start.state : undefined;
    const lost: BadSampleReport[] = [];
    const open = epochOf(
      config,
      data,
      part,
      epoch,
      damageTo(damage => lost.push(damage)),
    );
    let begun = state === undefined;
    try {
      for await (const {key, shard, members, state: after, shardState} of open(state)) {
        begun = true;
        for (const report of lost.splice(0)) yield {report};
        const origin = {source, epoch, shard: shardState, of};
        yield {sample: {key, shard, members}, origin, place: {epoch, state: after, of}};
      }
    } catch (error) {
      if (begun || !(error instanceof WebDatasetError) || error.code !== 'state-mismatch') throw readable(error);
      yield {note: `The data cannot go on where they were (${error.message}): epoch ${epoch + 1} begins.`};
      continue;
    }
    for (const report of lost.splice(0)) yield {report};
    yield {epochEnded: epoch, source, whole: state === undefined};
    if (!data.repeat) return;
  }
}

/** The sources mixed by their weights, from `start` on. */
export async function* sourceEvents(
  data: ResolvedData,
  part: DataPart,
  start: SourcesPosition,
): AsyncGenerator<SourceEvent> {
  const places = [...start.sources];
  const streams = places.map((place, n) => (place === null ? undefined : eventsOf(n, data, part, place)));
  try {
    for (let draws = start.draws; streams.some(stream => stream !== undefined); draws++) {
      const chosen = draw(data.sources, n => streams[n] !== undefined, part.seed, draws);
      for (;;) {
        const next = await streams[chosen]!.next();
        if (next.done === true) {
          streams[chosen] = undefined;
          places[chosen] = null;
          break;
        }
        if (!('sample' in next.value)) {
          yield next.value;
          continue;
        }
        const {place, ...rest} = next.value;
        places[chosen] = place;
        yield {...rest, position: {draws: draws + 1, sources: [...places]}};
        break;
      }
    }
  } finally {
    for (const stream of streams) await stream?.return(undefined);
  }
}

/** A source that is not used up, by the weights of those. */
function draw(sources: readonly ResolvedSource[], isOpen: (n: number) => boolean, seed: number, draws: number): number {
  const open = sources.flatMap(({weight}, n) => (isOpen(n) ? [{weight, n}] : []));
  if (open.length === 1) return open[0]!.n;
  const total = open.reduce((sum, {weight}) => sum + weight, 0);
  let left = uniforms({seed, stream: 'mixing', step: draws}, 1)[0]! * total;
  for (const {weight, n} of open) {
    left -= weight;
    if (left < 0) return n;
  }
  return open.at(-1)!.n;
}

/** Reads one sample again. @throws WebDatasetError `state-mismatch` when it is not there any more. */
export async function sampleAgain(
  {source, epoch, shard}: SampleOrigin,
  data: ResolvedData,
  part: DataPart,
): Promise<Pick<Sample, 'key' | 'shard' | 'members'>> {
  const {readSample} = await import('webdataset-ts');
  const {shards} = data.sources[source]!;
  return readSample({...shardOptions(shards, data, part, epoch), state: shard});
}
