// Shards to batches: read, shuffle, check, decode in threads, stack. The order and every random choice are functions of
// (seed, epoch, position); the position that comes with a batch resumes exactly after it, with any number of threads.
import {expandUrls, type JsonValue, readShards, type Sample, shardSource, shuffle} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import {BadSample} from './bad_sample.ts';
import type {BadSampleReport, DataConfig, DataPosition, VideoBatch} from './batch.ts';
import {type DecodedClip, type DecodePool, openDecodePool} from './decode_pool.ts';
import {checkSample, clipWanted, memberExtensions} from './sample.ts';
import {damageTo, readable, sentence} from './shard_errors.ts';

export interface BatchesOptions {
  seed: number;
  rank?: number;
  worldSize?: number;
  /** The `position` of the last batch that was used. */
  resume?: DataPosition;
  /**
   * Called for each sample left out, in order, when the batch after it is handed over. A run that was killed and resumes
   * may meet one again: (shard, key) tells.
   */
  onBadSample?: (report: BadSampleReport) => void;
}

/**
 * Batches of clips, forever unless `repeat` is false. Ending the loop early (`return`, `break`) stops the threads.
 * @throws UserError naming shard and key at the first bad sample unless `onBadSample` is `skip`, for a shard that cannot
 *   be had, and for data that give no clip at all.
 */
export async function* batches(config: DataConfig, options: BatchesOptions): AsyncGenerator<VideoBatch> {
  checkConfig(config, options);
  const ahead = config.prefetch ?? 2;
  const made = makeBatches(config, options);
  const pending: Promise<IteratorResult<MadeBatch>>[] = [];
  const ask = () => {
    const next = made.next();
    next.catch(() => {}); // it is awaited in order below
    pending.push(next);
  };
  try {
    for (let n = 0; n <= ahead; n++) ask();
    for (;;) {
      const asked = performance.now();
      const next = await pending.shift()!;
      const waitedMs = performance.now() - asked;
      if (next.done === true) return;
      for (const report of next.value.bad) options.onBadSample?.(report);
      ask();
      if (next.value.batch !== undefined) yield {...next.value.batch, waitedMs};
    }
  } finally {
    await made.return(undefined).catch(() => {});
  }
}

interface MadeBatch {
  /** Undefined at the very end, when only bad samples were left. */
  batch: Omit<VideoBatch, 'waitedMs'> | undefined;
  bad: BadSampleReport[];
}

async function* makeBatches(config: DataConfig, options: BatchesOptions): AsyncGenerator<MadeBatch, undefined> {
  const {batchSize, frames: T, height: H, width: W} = config;
  const clipBytes = T * H * W * 3;
  const threads = config.decoders ?? 1;
  const slots = 2 * threads + 2;
  const pool = openDecodePool({threads, slots, clipBytes, engine: config.videoEngine ?? 'auto'});
  let bad: BadSampleReport[] = [];
  let batch = emptyBatch(config);
  let count = 0;
  try {
    for await (const item of decodedClips(config, options, pool, slots)) {
      if ('report' in item) {
        if ((config.onBadSample ?? 'stop') === 'stop') throw stopped(item.report);
        bad.push(item.report);
        continue;
      }
      batch.frames.set(item.clip.frames, count++ * clipBytes);
      batch.keys.push(item.key);
      batch.captions.push(item.caption);
      batch.fps.push(item.clip.fps);
      batch.metadata.push(item.metadata);
      batch.position = item.position;
      item.clip.release();
      if (count < batchSize) continue;
      yield {batch, bad};
      [batch, bad, count] = [emptyBatch(config), [], 0];
    }
    const last = {...batch, frames: batch.frames.slice(0, count * clipBytes), shape: [count, T, H, W, 3] as const};
    if (count > 0 || bad.length > 0) yield {batch: count > 0 ? last : undefined, bad};
    return undefined;
  } finally {
    await pool.close();
  }
}

function emptyBatch({batchSize: B, frames: T, height: H, width: W}: DataConfig): Omit<VideoBatch, 'waitedMs'> {
  const shape = [B, T, H, W, 3] as const;
  return {
    kind: T === 1 ? 'images' : 'clips',
    frames: new Uint8Array(B * T * H * W * 3),
    shape,
    keys: [],
    captions: [],
    fps: [],
    labels: [],
    boxes: [],
    metadata: [],
    position: null,
  };
}

type Metadata = {[key: string]: JsonValue};

type Decoded =
  | {key: string; caption: string | undefined; metadata: Metadata; clip: DecodedClip; position: DataPosition}
  | {report: BadSampleReport};

/** Decoded samples in the order they were read, however many threads decode. */
async function* decodedClips(
  config: DataConfig,
  options: BatchesOptions,
  pool: DecodePool,
  inFlight: number,
): AsyncGenerator<Decoded> {
  const queue: Promise<Decoded>[] = [];
  let good = 0;
  let seen = 0;
  const none = () => new UserError(`None of the ${seen} samples of ${config.shards} could be used.`);
  try {
    for await (const item of positioned(config, options)) {
      if ('endOfEpoch' in item) {
        if (!item.whole) continue;
        for (const made of queue) if ('clip' in (await made)) good++;
        if (good === 0 && config.repeat !== false) {
          for (const made of queue.splice(0)) yield await made;
          throw none();
        }
        continue;
      }
      seen++;
      const decoding = 'report' in item ? Promise.resolve(item) : decodeOne(config, options, pool, item);
      decoding.catch(() => {}); // it is awaited in order below
      queue.push(decoding);
      if (queue.length < inFlight) continue;
      const made = await queue.shift()!;
      if ('clip' in made) good++;
      yield made;
    }
    while (queue.length > 0) yield await queue.shift()!;
  } finally {
    for (const made of queue) made.then(done => 'clip' in done && done.clip.release()).catch(() => {});
  }
}

async function decodeOne(
  config: DataConfig,
  {seed}: BatchesOptions,
  pool: DecodePool,
  {sample, epoch, position}: Positioned,
): Promise<Decoded> {
  const {key, shard} = sample;
  try {
    const {media, extension, caption, metadata} = checkSample(sample, config);
    const clip = await pool.decode(media, extension, clipWanted(config, key, {seed, epoch}));
    return {key, caption, metadata, clip, position};
  } catch (error) {
    if (!(error instanceof BadSample)) throw error;
    return {report: {shard, key, reason: error.reason, detail: error.message}};
  }
}

interface Positioned {
  sample: Sample;
  epoch: number;
  position: DataPosition;
}

/** Epoch after epoch of samples with the position that resumes after each, bad shards among them, and where epochs end. */
async function* positioned(
  config: DataConfig,
  {seed, rank = 0, worldSize = 1, resume}: BatchesOptions,
): AsyncGenerator<Positioned | {report: BadSampleReport} | {endOfEpoch: number; whole: boolean}> {
  const start = parsePosition(resume);
  const urls = expandUrls(config.shards);
  // By shards where there are enough to share evenly: then no rank reads what is another's.
  const by = urls.length >= 4 * worldSize ? 'shard' : 'sample';
  const window = config.shuffle ?? 1000;
  for (let epoch = start?.epoch ?? 0; ; epoch++) {
    const state = epoch === start?.epoch ? start.state : undefined;
    const lost: BadSampleReport[] = [];
    const onError = damageTo(damage => lost.push(damage));
    const split = {rank, ranks: worldSize, by} as const;
    try {
      const shards = shardSource({urls, seed, epoch, split, onError, extensions: memberExtensions});
      const source = window > 1 ? shuffle(shards, {seed, epoch, window, windowBytes: shuffleBytes}) : shards;
      for await (const sample of source(state)) {
        for (const report of lost.splice(0)) yield {report};
        yield {sample, epoch, position: {epoch, state: sample.state}};
      }
    } catch (error) {
      throw readable(error);
    }
    for (const report of lost.splice(0)) yield {report};
    yield {endOfEpoch: epoch, whole: state === undefined};
    if (config.repeat === false) return;
  }
}

/** A window of large samples closes early: the bound on what shuffling keeps in memory. */
const shuffleBytes = 256 * 2 ** 20;

function parsePosition(resume: DataPosition | undefined): {epoch: number; state: JsonValue} | undefined {
  if (resume === undefined || resume === null) return undefined;
  const {epoch, state} = typeof resume === 'object' && !Array.isArray(resume) ? resume : {};
  if (typeof epoch === 'number' && Number.isSafeInteger(epoch) && epoch >= 0 && state !== undefined)
    return {epoch, state};
  throw new UserError(`The data position ${JSON.stringify(resume).slice(0, 80)} is not one that a batch carried.`);
}

function stopped({shard, key, detail}: BadSampleReport): UserError {
  const where = key === '' ? `Shard ${shard}` : `Sample ${key} of shard ${shard}`;
  return new UserError(`${where}: ${sentence(detail)} Mend or remove it, or set onBadSample to "skip".`);
}

function checkConfig(config: DataConfig, {seed, rank = 0, worldSize = 1}: BatchesOptions): void {
  const {frames, width, height, batchSize, decoders = 1, prefetch = 2} = config;
  for (const [name, value] of Object.entries({frames, width, height, batchSize, decoders, worldSize})) {
    if (!Number.isInteger(value) || value < 1)
      throw new UserError(`Data: "${name}" must be a whole number from 1, found ${value}.`);
  }
  if (!Number.isInteger(prefetch) || prefetch < 0)
    throw new UserError(`Data: "prefetch" must be a whole number from 0, found ${prefetch}.`);
  if (!Number.isInteger(rank) || rank < 0 || rank >= worldSize) {
    throw new UserError(`Data: "rank" must be from 0 to ${worldSize - 1}, found ${rank}.`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new UserError(`Data: "seed" must be a whole number from 0, found ${seed}.`);
  if (config.fps !== undefined && !(config.fps > 0 && config.fps <= 1000)) {
    throw new UserError(`Data: "fps" must be above 0 and at most 1000, found ${config.fps}.`);
  }
}

/** A fixed set of clips, for held-out losses and previews. */
export interface HeldOutClips {
  /** RGB uint8 [N,T,H,W,3]. */
  frames: Uint8Array;
  shape: readonly [clips: number, frames: number, height: number, width: number, channels: 3];
  keys: string[];
  captions: (string | undefined)[];
  fps: number[];
}

/**
 * The first `count` usable clips in the order of the shards, each from the middle of its sample: the same on every call.
 * @throws UserError when there are fewer, or at a bad sample unless `onBadSample` is `skip`.
 */
export async function heldOutClips(
  config: DataConfig,
  count: number,
  onBadSample?: (report: BadSampleReport) => void,
): Promise<HeldOutClips> {
  const {frames: T, height: H, width: W} = config;
  checkConfig({...config, batchSize: count}, {seed: 0});
  const clipBytes = T * H * W * 3;
  const pool = openDecodePool({
    threads: config.decoders ?? 1,
    slots: 1,
    clipBytes,
    engine: config.videoEngine ?? 'auto',
  });
  const held: HeldOutClips = {
    frames: new Uint8Array(count * clipBytes),
    shape: [count, T, H, W, 3],
    keys: [],
    captions: [],
    fps: [],
  };
  const refuse = (report: BadSampleReport) => {
    if ((config.onBadSample ?? 'stop') === 'stop') throw stopped(report);
    onBadSample?.(report);
  };
  const onError = damageTo(refuse);
  try {
    for await (const sample of readShards({urls: config.shards, onError, extensions: memberExtensions})) {
      const {key, shard} = sample;
      try {
        const {media, extension, caption} = checkSample(sample, config);
        const clip = await pool.decode(media, extension, clipWanted(config, key, undefined));
        held.frames.set(clip.frames, held.keys.length * clipBytes);
        held.keys.push(key);
        held.captions.push(caption);
        held.fps.push(clip.fps);
        clip.release();
      } catch (error) {
        if (!(error instanceof BadSample)) throw error;
        refuse({shard, key, reason: error.reason, detail: error.message});
      }
      if (held.keys.length === count) return held;
    }
  } catch (error) {
    throw readable(error);
  } finally {
    await pool.close();
  }
  throw new UserError(
    `${count} held-out clips were asked for but ${config.shards} has ${held.keys.length}: ask for fewer or add videos.`,
  );
}
