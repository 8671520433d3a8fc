// Encoding once and for all: shards of videos and images to shards of their latents (mean and log variance, F16) and text
// embeddings, one shard for each. A shard appears whole, with a record of what made it: another try skips what is there.
import {mkdirSync, readdirSync, rmSync, statSync} from 'node:fs';
import path from 'node:path';
import {
  type BadSampleReport,
  digest,
  namedShards,
  openLatentShard,
  type WholeSample,
  wholePool,
  wholeSamples,
} from '../../datasets/index.ts';
import {type EngineName, type GroupPlace, openEngine, type Precision} from '../../src/engine/index.ts';
import type {AutoencoderKL} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {buildAutoencoder} from '../parents/frozen.ts';
import {loadParent} from '../parents/load_run.ts';
import {textOf} from '../parents/resolve_conditions.ts';
import {encodeFrames, openTextEncoding, type TextEncoding} from './encode_group.ts';
import {type EncodeRecord, readRecord, recordFile, writeJson} from './encode_record.ts';
import {autoencoderHash, textEncoderHash} from './encoder_hash.ts';

export interface EncodeOptions {
  /** Paths or addresses, brace-expanded. */
  shards: readonly string[];
  /** A run, one of its checkpoints, or a folder of models: its autoencoder and, where it has one, its text encoder. */
  from: string;
  /** Folder for the shards, each under the name of the one it was made of. */
  out: string;
  /** Of the frames that are encoded, pixels. */
  height: number;
  width: number;
  /** Frames per second; as stored when undefined. */
  fps?: number | undefined;
  /** Longer samples are cut into pieces of this many frames. */
  maxFrames: number;
  /** Frames encoded at once. */
  batch: number;
  /** Whether captions are encoded as well; as `from` has it when undefined. */
  text?: boolean | undefined;
  /** Decoding threads. */
  workers: number;
  /** This process encodes each `ranks`-th shard, from the `rank`-th on. */
  rank: number;
  ranks: number;
  /** Among those of its machine, which share its GPUs or processors. */
  place?: GroupPlace;
  onBadSample: 'skip' | 'stop';
  /** Encode again what is there. */
  overwrite: boolean;
  engine: EngineName | 'auto';
  precision?: Precision;
  onProgress?: (line: string) => void;
}

export interface EncodeReport {
  shards: number;
  /** Of those, how many were there already. */
  skipped: number;
  samples: number;
  frames: number;
  bad: BadSampleReport[];
  encoder: string;
  preprocessing: string;
  text: string | undefined;
}

/**
 * Encodes the shards; what is bad is listed in the report (also `report.json`) and left out.
 * @throws UserError when the output is of another encoder, sizes do not fit, or at a bad sample with `stop`.
 */
export async function encodeShards(options: EncodeOptions): Promise<EncodeReport> {
  const {out, onProgress = () => {}} = options;
  const shards = namedShards(options.shards).filter((_, n) => n % options.ranks === options.rank);
  const {autoencoder: host, text: hostText} = await encodersOf(options);
  mkdirSync(out, {recursive: true});
  removeUnfinished(out);
  const {place, precision = 'fp32'} = options;
  // Nothing is exchanged with the others: alone, on its share of the machine.
  const share = place && {...place, rank: 0, worldSize: 1};
  const engine = await openEngine(options.engine, {precision, ...(share ? {place: share} : {})});
  onProgress(`engine ${engine.name}, ${engine.device}, ${engine.precision}`);
  const autoencoder = buildAutoencoder({autoencoder: host});
  const {factor} = autoencoder;
  if (options.height % factor !== 0 || options.width % factor !== 0) {
    throw new UserError(
      `The size ${options.height}x${options.width} must be a multiple of ${factor}, by which the autoencoder of ${options.from} makes frames smaller.`,
    );
  }
  const texts = hostText && openTextEncoding(hostText);
  const made: EncodeRecord['made'] = {
    encoder: autoencoderHash(host),
    preprocessing: preprocessingHash(options),
    ...(hostText ? {text: textEncoderHash(hostText)} : {}),
  };
  const decoding = wholePool({...options, fps: options.fps}, options.workers);
  const records: EncodeRecord[] = [];
  let skipped = 0;
  const start = performance.now();
  try {
    for (const [n, {shard, name}] of shards.entries()) {
      const file = path.join(out, name);
      const there = options.overwrite ? undefined : readRecord(file, made);
      if (there) {
        skipped++;
        records.push(there);
        continue;
      }
      const record = await encodeShard(shard, file, options, {autoencoder, texts, made, decoding});
      records.push(record);
      const each = (performance.now() - start) / 1000 / (n + 1 - skipped);
      const rate = record.samples / Math.max(1e-3, record.seconds);
      onProgress(
        `${n + 1}/${shards.length} ${name}: ${record.samples} samples, ${record.bad.length} bad, ${rate.toFixed(1)} samples/s, ${Math.round(each * (shards.length - n - 1))} s left`,
      );
    }
  } finally {
    await decoding.pool.close();
    autoencoder.dispose();
    texts?.dispose();
  }
  const report: EncodeReport = {
    shards: shards.length,
    skipped,
    samples: records.reduce((sum, {samples}) => sum + samples, 0),
    frames: records.reduce((sum, {frames}) => sum + frames, 0),
    bad: records.flatMap(({bad}) => bad),
    encoder: made.encoder,
    preprocessing: made.preprocessing,
    text: made.text,
  };
  const suffix = options.ranks === 1 ? '' : `-${options.rank}-of-${options.ranks}`;
  await writeJson(path.join(out, `report${suffix}.json`), report);
  return report;
}

interface Encoders {
  autoencoder: AutoencoderKL;
  texts: TextEncoding | undefined;
  made: EncodeRecord['made'];
  decoding: ReturnType<typeof wholePool>;
}

async function encodeShard(
  shard: string,
  file: string,
  options: EncodeOptions,
  {autoencoder, texts, made, decoding}: Encoders,
): Promise<EncodeRecord> {
  const {width, height, fps, maxFrames, batch} = options;
  const begun = performance.now();
  const output = openLatentShard(file, {encoder: made.encoder, preprocessing: made.preprocessing, height, width});
  const bad: BadSampleReport[] = [];
  let [samples, frames] = [0, 0];
  let group: WholeSample[] = [];
  const framesIn = (several: readonly WholeSample[]) => several.reduce((sum, sample) => sum + sample.frames, 0);
  const flush = async () => {
    const latents = await encodeFrames(group, autoencoder, {height, width, batch});
    const embeddings = await texts?.embed(group.map(({caption}) => caption ?? ''));
    for (const [n, sample] of group.entries()) {
      const text = embeddings?.[n];
      await output.write(sample, latents[n]!, text && {...text, encoder: made.text!});
    }
    samples += group.length;
    frames += framesIn(group);
    group = [];
  };
  try {
    for await (const item of wholeSamples({shard, width, height, fps, maxFrames}, decoding)) {
      if ('report' in item) {
        const {key, reason, detail} = item.report;
        if (options.onBadSample === 'stop')
          throw new UserError(`Sample ${key} of shard ${shard} (${reason}): ${detail} Mend it, or skip bad samples.`);
        bad.push(item.report);
        continue;
      }
      group.push(item);
      if (framesIn(group) >= batch) await flush();
    }
    if (group.length > 0) await flush();
    const {bytes = 0, sha256} = (await output.close()) ?? {};
    const seconds = (performance.now() - begun) / 1000;
    const record: EncodeRecord = {made, source: shard, samples, frames, bytes, sha256, seconds, bad};
    await writeJson(recordFile(file), record);
    return record;
  } catch (error) {
    await output.abort();
    throw error;
  }
}

async function encodersOf({from, text}: EncodeOptions) {
  const parent = await loadParent(from);
  if (!parent.autoencoder)
    throw new UserError(`${from} has no autoencoder: name a run or a model folder that has one.`);
  const found = parent.text ?? (parent.conditions && textOf(parent.conditions));
  if (text === true && !found)
    throw new UserError(`${from} has no text encoder: leave --text out, or name a run or a model folder that has one.`);
  return {autoencoder: parent.autoencoder, text: text === false ? undefined : found};
}

function preprocessingHash({height, width, fps}: EncodeOptions): string {
  return digest(JSON.stringify({version: 1, crop: 'center', scale: 'bicubic', height, width, fps: fps ?? 'stored'}));
}

const STALE_MILLISECONDS = 600_000;

/** Temporary files of tries that are gone. Young ones may be another machine's. */
function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = Number(/\.(\d+)\.tmp$/.exec(name)?.[1] ?? Number.NaN);
    if (!Number.isInteger(pid) || isAlive(pid)) continue;
    const file = path.join(folder, name);
    if (Date.now() - statSync(file).mtimeMs > STALE_MILLISECONDS) rmSync(file, {force: true});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
