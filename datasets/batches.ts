// Shards to batches: read, mix, shuffle, check, decode in threads, sort into buckets, stack. The order and every random choice
// are functions of (seed, draw, epoch, key); the position that comes with a batch resumes exactly after it, with any number of
// threads: where each source is, and which samples were read but wait for their bucket to fill.
import {WebDatasetError} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import type {BadSampleReport, DataPosition, VideoBatch} from './batch.ts';
import {type BucketBatch, batchName, bucketBatch, type UnplacedBatch} from './bucket_batch.ts';
import {bucketCensus} from './bucket_census.ts';
import {type DataConfig, type DataPart, type ResolvedData, resolveData, resolvePart} from './data_config.ts';
import {type DecodePool, openDecodePool} from './decode_pool.ts';
import {asJson, type Position, resumePosition} from './position.ts';
import {badSampleReport, type ReadyClip, readyClip} from './ready_clip.ts';
import {readable, sentence} from './shard_errors.ts';
import {type SampleOrigin, type SourceEvent, type SourcesPosition, sampleAgain, sourceEvents} from './sources.ts';

export interface BatchesOptions {
  seed: number;
  rank?: number;
  worldSize?: number;
  /** The `position` of the last batch that was used. */
  resume?: DataPosition;
  /**
   * Called for each sample left out, in order, when the batch after it is handed over. A run that was killed and resumes
   * may meet one again, and so does every epoch: (shard, key) tells.
   */
  onBadSample?: (report: BadSampleReport) => void;
  /** Hears what a person should know: a bucket too small to fill a batch, a source that had to begin an epoch anew. */
  onNote?: (note: string) => void;
}

/**
 * Batches of clips, forever unless `repeat` is false. Ending the loop early (`return`, `break`) stops the threads.
 * @throws UserError naming shard and key at the first bad sample unless `onBadSample` is `skip`, for a shard that cannot
 *   be had, for latents of another encoder, and for data that give no clip at all.
 */
export async function* batches(config: DataConfig, options: BatchesOptions): AsyncGenerator<VideoBatch> {
  const data = resolveData(config);
  const part = resolvePart(options);
  const made = makeBatches(data, part, options.resume);
  const pending: Promise<IteratorResult<MadeBatch>>[] = [];
  const ask = () => {
    const next = made.next();
    next.catch(() => {}); // it is awaited in order below
    pending.push(next);
  };
  try {
    for (let n = 0; n <= data.prefetch; n++) ask();
    for (;;) {
      const asked = performance.now();
      const next = await pending.shift()!;
      const waitedMs = performance.now() - asked;
      if (next.done === true) return;
      for (const report of next.value.bad) options.onBadSample?.(report);
      for (const note of next.value.notes) options.onNote?.(note);
      ask();
      if (next.value.batch !== undefined) yield {...next.value.batch, waitedMs};
    }
  } finally {
    await made.return(undefined).catch(() => {});
  }
}

interface MadeBatch {
  /** Undefined where there is only something to tell. */
  batch: Omit<VideoBatch, 'waitedMs'> | undefined;
  bad: BadSampleReport[];
  notes: string[];
}

async function* makeBatches(
  data: ResolvedData,
  part: DataPart,
  resume: DataPosition | undefined,
): AsyncGenerator<MadeBatch, undefined> {
  const {position: start, notes: firstNotes} = resumePosition(resume, data, part);
  const slots = 2 * data.decoders + 2;
  const pool = openDecodePool({
    threads: data.decoders,
    slots,
    clipBytes: Math.max(...data.buckets.map(({frames, width, height}) => frames * width * height * 3)),
    engine: data.videoEngine,
  });
  const filling = new Map<string, BucketBatch>();
  let waiting: {name: string; origin: SampleOrigin}[] = [];
  let place: SourcesPosition = start;
  let told: Pick<MadeBatch, 'bad' | 'notes'> = {bad: [], notes: firstNotes};
  const census = bucketCensus(data);

  const hand = (batch?: UnplacedBatch): MadeBatch => {
    const position = asJson({...place, waiting: waiting.map(({origin}) => origin)});
    const made = {...told, batch: batch && {...batch, position}};
    told = {bad: [], notes: []};
    return made;
  };
  const finish = (name: string): MadeBatch => {
    const batch = filling.get(name)!.take();
    filling.delete(name);
    waiting = waiting.filter(item => item.name !== name);
    return hand(batch);
  };

  try {
    for await (const item of readyEvents(data, part, start, pool, slots)) {
      if ('note' in item) told.notes.push(item.note);
      else if ('report' in item) {
        if (data.onBadSample === 'stop') throw stopped(item.report);
        told.bad.push(item.report);
        census.bad(item.source);
      } else if ('epochEnded' in item) {
        const nothing = census.epochEnded(item);
        told.notes.push(...census.notes());
        if (nothing === undefined) continue;
        if (told.bad.length > 0) yield hand();
        throw nothing;
      } else {
        const {clip, origin} = item;
        census.good(origin.source, clip.bucket);
        place = item.position;
        const name = batchName(clip);
        let batch = filling.get(name);
        if (batch === undefined) {
          batch = bucketBatch(data.buckets[clip.bucket]!, clip);
          filling.set(name, batch);
        }
        waiting.push({name, origin});
        if (batch.add(clip)) yield finish(name);
      }
    }
    for (const name of [...filling.keys()]) yield finish(name);
    if (told.bad.length > 0 || told.notes.length > 0) yield hand();
    return undefined;
  } finally {
    await pool.close();
  }
}

type ReadyEvent =
  | {clip: ReadyClip; origin: SampleOrigin; position: SourcesPosition}
  | {report: BadSampleReport; source: number | undefined}
  | Extract<SourceEvent, {epochEnded: number} | {note: string}>;

/** What comes of the samples, in the order they were read, however many threads decode. */
async function* readyEvents(
  data: ResolvedData,
  part: DataPart,
  start: Position,
  pool: DecodePool,
  inFlight: number,
): AsyncGenerator<ReadyEvent> {
  const queue: Promise<ReadyEvent>[] = [];
  const ready = async (
    sample: Parameters<typeof readyClip>[0],
    origin: SampleOrigin,
    position: SourcesPosition,
  ): Promise<ReadyEvent> => {
    const at = {seed: part.seed, epoch: origin.epoch};
    try {
      return {clip: await readyClip(sample, data, data.sources[origin.source]!, pool, at), origin, position};
    } catch (error) {
      return {report: badSampleReport(sample, error), source: origin.source};
    }
  };
  /** The samples that waited when the position was saved are read again one by one; then the sources go on. */
  async function* begun(): AsyncGenerator<{event: Promise<ReadyEvent>}> {
    for (const origin of start.waiting) {
      const sample = await sampleAgain(origin, data, part).catch((error: unknown) => {
        if (error instanceof WebDatasetError && error.code === 'state-mismatch') return error;
        throw readable(error);
      });
      if (!(sample instanceof WebDatasetError)) yield {event: ready(sample, origin, start)};
      else
        yield {event: Promise.resolve({note: `A sample that waited for its bucket is left out: ${sample.message}.`})};
    }
    for await (const read of sourceEvents(data, part, start)) {
      if ('sample' in read) yield {event: ready(read.sample, read.origin, read.position)};
      else yield {event: Promise.resolve('report' in read ? {...read, source: undefined} : read)};
    }
  }
  try {
    for await (const {event} of begun()) {
      event.catch(() => {}); // it is awaited in order
      queue.push(event);
      if (queue.length >= inFlight) yield await queue.shift()!;
    }
    while (queue.length > 0) yield await queue.shift()!;
  } finally {
    for (const event of queue) event.then(done => 'clip' in done && done.clip.release()).catch(() => {});
  }
}

/** Why a run stops at a bad sample. */
export function stopped({shard, key, detail}: BadSampleReport): UserError {
  const where = key === '' ? `Shard ${shard}` : `Sample ${key} of shard ${shard}`;
  return new UserError(`${where}: ${sentence(detail)} Mend or remove it, or set onBadSample to "skip".`);
}
