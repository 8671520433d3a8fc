// The position that comes with a batch: where each source is, and the samples that were read but wait for their bucket.
import type {JsonValue} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import type {DataPosition} from './batch.ts';
import type {DataPart, ResolvedData} from './data_config.ts';
import {type SampleOrigin, type SourcePlace, type SourcesPosition, sourceMark} from './sources.ts';

export interface Position extends SourcesPosition {
  /** In the order in which they were read. */
  waiting: readonly SampleOrigin[];
}

export const asJson = ({draws, sources, waiting}: Position): DataPosition => ({draws, sources, waiting: [...waiting]});

/** The very beginning. */
function beginning(data: ResolvedData, part: DataPart): Position {
  const sources = data.sources.map(source => ({epoch: 0, state: null, of: sourceMark(source, data, part)}));
  return {draws: 0, sources, waiting: []};
}

/**
 * Where to go on. A source that changed (its shards, the shuffling, the ranks) begins its next epoch; `notes` say so.
 * @throws UserError for what no batch carried.
 */
export function resumePosition(
  resume: DataPosition | undefined,
  data: ResolvedData,
  part: DataPart,
): {position: Position; notes: string[]} {
  const fresh = beginning(data, part);
  if (resume === undefined || resume === null) return {position: fresh, notes: []};
  const saved = parsePosition(resume);
  const notes: string[] = [];
  const marks = fresh.sources.map(place => place!.of);
  const sources = marks.map((of, n): SourcePlace | null => {
    const same = saved.sources[n];
    if (same === null) return null;
    if (same?.of === of) return same;
    const moved = saved.sources.find(place => place?.of === of);
    if (moved) return moved;
    const epoch = same === undefined ? 0 : same.epoch + 1;
    notes.push(
      `Source ${n + 1} of the data (${data.sources[n]!.shards[0]} ...) is not what it was (shards, shuffling or ranks changed): its epoch ${epoch} begins.`,
    );
    return {epoch, state: null, of};
  });
  const known = saved.waiting.flatMap(origin => {
    const source = marks[origin.source] === origin.of ? origin.source : marks.indexOf(origin.of);
    return source < 0 ? [] : [{...origin, source}];
  });
  const lost = saved.waiting.length - known.length;
  if (lost > 0) notes.push(`${lost} samples that waited for their bucket are left out with their source.`);
  return {position: {draws: saved.draws, sources, waiting: known}, notes};
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

type Fields = {[key: string]: JsonValue};
const fieldsOf = (value: JsonValue | undefined): Fields =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};

function parsePosition(resume: JsonValue): Position {
  const refuse = () =>
    new UserError(`The data position ${JSON.stringify(resume).slice(0, 80)} is not one that a batch carried.`);
  const {draws, sources, waiting, epoch, state} = fieldsOf(resume);
  // As it was before there were several sources: only the epoch still means something.
  if (isCount(epoch) && state !== undefined) return {draws: 0, sources: [{epoch, state, of: ''}], waiting: []};
  if (!isCount(draws) || !Array.isArray(sources) || !Array.isArray(waiting)) throw refuse();
  return {
    draws,
    sources: sources.map(place => {
      if (place === null) return null;
      const {epoch, state, of} = fieldsOf(place);
      if (!isCount(epoch) || state === undefined || typeof of !== 'string') throw refuse();
      return {epoch, state, of};
    }),
    waiting: waiting.map(origin => {
      const {source, epoch, shard, of} = fieldsOf(origin);
      if (!isCount(source) || !isCount(epoch) || shard === undefined || typeof of !== 'string') throw refuse();
      return {source, epoch, shard, of};
    }),
  };
}
