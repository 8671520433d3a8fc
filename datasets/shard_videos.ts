// Videos to WebDataset shards of short clips: KEY.mp4, KEY.json and, where there is one, KEY.txt. What a clip's caption and
// metadata are is told by whoever lists the videos (a folder, WebVid's table, RDS's labels). Threads cut the videos; clips are
// written in the order of the list, so shards do not depend on how many there are, nor on where an earlier try was stopped.
import {mkdir} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {type JsonValue, openShardWriter, type ShardWriter, type WrittenShard} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import {type BadReason, BadSample} from './bad_sample.ts';
import {type ClipCodec, openClipEncoder} from './clip_file.ts';
import {type ClipPlace, type CutClip, type CutOptions, clipKey} from './cut_clips.ts';
import {type CutJob, openCutPool} from './cut_pool.ts';
import {digest} from './digest.ts';
import {readProgress, removeProgress, type ShardPart, writeAtomically, writeProgress} from './shard_progress.ts';
import {openVideoReader, type VideoEngine} from './video/video_reader.ts';

export interface ClipOptions extends CutOptions {
  /** The folder the shards go to: train-000000.tar, validation-000000.tar, report.json. */
  output: string;
  /** Default `auto`; see `openClipEncoder`. */
  codec?: ClipCodec | 'auto';
  clipsPerShard?: number;
  videoEngine?: VideoEngine | 'auto';
  /** Threads. Default: one a core, at most 8. */
  workers?: number;
  /** Replace shards of an earlier run; else an unfinished one of the same options goes on. Default false. */
  overwrite?: boolean;
  /** Called after each video; `total` where it is known beforehand. */
  onProgress?: (progress: {video: string; done: number; total: number | undefined; clips: number}) => void;
  signal?: AbortSignal;
}

export interface SourceVideo {
  /** Path to open. */
  file: string;
  /** What names the video in keys, metadata and reports: its path below the input folder, or its identifier. */
  relative: string;
  /** Whether its clips are for validation. */
  heldOut: boolean;
  /** @throws BadSample when they are there but cannot be used. */
  about?: () => Promise<AboutVideo>;
}

interface AboutVideo {
  caption?: string | undefined;
  metadata?: (clip: ClipPlace) => {[key: string]: JsonValue};
}

/** A video that could not be used, or only up to its damage. */
export interface BadFile {
  source: string;
  reason: BadReason;
  detail: string;
  /** Clips that were written before the damage was met. */
  clipsKept: number;
}

/** A video that `filters` left out. */
export interface FilteredFile {
  source: string;
  why: string;
}

export interface ShardReport {
  codec: ClipCodec;
  engine: VideoEngine;
  videos: number;
  train: WrittenShard[];
  validation: WrittenShard[];
  clips: {train: number; validation: number};
  /** Seconds of clips written. */
  duration: number;
  bad: BadFile[];
  filtered: FilteredFile[];
}

interface Part {
  name: ShardPart;
  writer: ShardWriter;
  /** Shards of an earlier try, and where they end. */
  earlier: WrittenShard[];
  resume: {video: number; relative: string; clip: number} | undefined;
  clips: number;
  bad: BadFile[];
  filtered: FilteredFile[];
}

interface Started {
  number: number;
  video: SourceVideo;
  part: Part;
  /** Clips that are in shards of an earlier try. */
  from: number;
  about: AboutVideo;
  job: CutJob | BadSample;
}

/**
 * Cuts the videos into clips and writes them as shards, in the order given. The same call goes on with one that was stopped.
 * Bad files are listed in the report (also `report.json`) and skipped.
 * @throws UserError when nothing could be used, there is nothing to decode with, or the output is taken.
 */
export async function shardVideos(
  videos: Iterable<SourceVideo> | AsyncIterable<SourceVideo>,
  options: ClipOptions,
  total?: number,
): Promise<ShardReport> {
  checkOptions(options);
  const {output, overwrite = false, onProgress} = options;
  const {name: engine} = await openVideoReader(options.videoEngine);
  const {codec} = await openClipEncoder(options.codec, options.videoEngine);
  await mkdir(output, {recursive: true});
  const cut = cutOptions(options);
  const mark = digest(JSON.stringify([cut, codec, engine, options.clipsPerShard ?? 1000]));
  if (overwrite) await removeProgress(output);
  const parts = openParts(options, mark);
  const threads = options.workers ?? Math.min(8, os.availableParallelism());
  const pool = openCutPool(threads, {codec, engine, options: cut});
  const started: Promise<Started>[] = [];
  let [listed, done] = [0, 0];

  const finish = async () => {
    options.signal?.throwIfAborted();
    const next = await started.shift()!;
    await writeClips(next, codec, cut, () => saveProgress(output, mark, parts));
    done++;
    const clips = parts.train.clips + parts.validation.clips;
    onProgress?.({video: next.video.relative, done, total, clips});
  };
  try {
    for await (const video of videos) {
      const number = listed++;
      const part = parts[video.heldOut ? 'validation' : 'train'];
      const from = resumeAt(part, number, video.relative);
      if (from === undefined) {
        done++;
        continue;
      }
      started.push(start(video, number, part, from, pool));
      if (started.length >= 4 * threads) await finish();
    }
    while (started.length > 0) await finish();
    for (const {resume, name} of Object.values(parts)) if (resume && resume.video >= listed) throw otherList(name);
    const clips = {train: parts.train.clips, validation: parts.validation.clips};
    const bad = [...parts.train.bad, ...parts.validation.bad].sort(bySource);
    const filtered = [...parts.train.filtered, ...parts.validation.filtered].sort(bySource);
    if (clips.train + clips.validation === 0) {
      const first = bad[0]
        ? `${bad[0].source}: ${bad[0].detail}`
        : filtered[0] && `${filtered[0].source}: ${filtered[0].why}`;
      throw new UserError(
        `None of the ${done} videos gave a clip of ${options.frames} frames at ${options.fps} fps.${first ? ` The first one: ${first}` : ''}`,
      );
    }
    const [train, validation] = [await closed(parts.train), await closed(parts.validation)];
    const duration = ((clips.train + clips.validation) * options.frames) / options.fps;
    const report: ShardReport = {codec, engine, videos: done, train, validation, clips, duration, bad, filtered};
    await writeAtomically(path.join(output, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    await removeProgress(output);
    return report;
  } catch (error) {
    await Promise.all(Object.values(parts).map(({writer}) => writer.abort()));
    throw error;
  } finally {
    for (const promise of started) promise.catch(() => {});
    await pool.close();
  }
}

const bySource = (a: {source: string}, b: {source: string}) => (a.source < b.source ? -1 : 1);
const closed = async ({earlier, writer}: Part) => [...earlier, ...(await writer.close())];

function checkOptions({frames, fps, width, height, stride, crop, camera, workers}: ClipOptions): void {
  for (const [name, value] of Object.entries({frames, width, height, stride: stride ?? 1, workers: workers ?? 1})) {
    if (!Number.isInteger(value) || value < 1)
      throw new UserError(`"${name}" must be a whole number from 1, found ${value}.`);
  }
  if (!(fps > 0) || fps > 1000) throw new UserError(`"fps" must be a number above 0, at most 1000, found ${fps}.`);
  if (crop !== undefined && camera)
    throw new UserError('"crop" and "camera" exclude each other: the camera chooses the crop.');
}

/** Only what the threads need: it is sent to them, and it decides the shards' bytes. */
function cutOptions(options: ClipOptions): CutOptions {
  const {frames, fps, width, height, stride = frames, maxClipsPerVideo, crop, camera = false, seed = 0} = options;
  const {shots = true, filters = {}} = options;
  return {
    ...{frames, fps, width, height, stride, camera, seed, shots, filters},
    ...(maxClipsPerVideo === undefined ? {} : {maxClipsPerVideo}),
    ...(crop === undefined ? {} : {crop}),
  };
}

function openParts(
  {output, clipsPerShard = 1000, overwrite = false}: ClipOptions,
  mark: string,
): Record<ShardPart, Part> {
  const earlier = readProgress(output, mark);
  const open = (name: ShardPart): Part => {
    const found = earlier[name];
    const shards = found?.shards ?? [];
    const writer = openShardWriter({
      path: path.join(output, `${name}-%06d.tar`),
      maxCount: clipsPerShard,
      firstShard: shards.length,
      // A shard that was finished and not noted down is written again, with the same bytes.
      overwrite: overwrite || Object.keys(earlier).length > 0,
    });
    const resume = found && {video: found.video, relative: found.relative, clip: found.clip};
    const clips = shards.reduce((sum, {samples}) => sum + samples, 0);
    return {name, writer, earlier: shards, resume, clips, bad: found?.bad ?? [], filtered: found?.filtered ?? []};
  };
  return {train: open('train'), validation: open('validation')};
}

const otherList = (part: ShardPart) =>
  new UserError(
    `The list of videos is not the one that the unfinished ${part} shards were made of: use --overwrite to begin anew, or another folder.`,
  );

/** The first clip that is wanted of a video; undefined where all of it is in shards already. */
function resumeAt({resume, name}: Part, number: number, relative: string): number | undefined {
  if (resume === undefined || number > resume.video) return 0;
  if (number < resume.video) return undefined;
  if (relative !== resume.relative) throw otherList(name);
  return resume.clip;
}

async function start(
  video: SourceVideo,
  number: number,
  part: Part,
  from: number,
  pool: ReturnType<typeof openCutPool>,
): Promise<Started> {
  const common = {number, video, part, from};
  try {
    const about = (await video.about?.()) ?? {};
    return {...common, about, job: pool.start({file: video.file, relative: video.relative, from})};
  } catch (error) {
    if (error instanceof BadSample) return {...common, about: {}, job: error};
    throw error;
  }
}

/** Writes one video's clips, and lists it where it is bad. */
async function writeClips(
  {number, video, part, from, about, job}: Started,
  codec: ClipCodec,
  options: CutOptions,
  saved: () => Promise<void>,
): Promise<void> {
  const {relative} = video;
  const bad = (reason: BadReason, detail: string, clipsKept: number) =>
    void part.bad.push({source: relative, reason, detail, clipsKept});
  if (job instanceof BadSample) return bad(job.reason, job.message, 0);
  let kept = from;
  for await (const event of job.events()) {
    if ('clip' in event) {
      const {clip} = event;
      const before = part.writer.shards.length;
      await part.writer.write(sampleOf(video, clip, about, codec, options));
      part.clips++;
      kept++;
      if (part.writer.shards.length === before) continue;
      part.resume = {video: number, relative, clip: clip.number};
      await saved();
    } else if ('bad' in event.end) bad(event.end.bad.reason, event.end.bad.detail, kept);
    else if ('filtered' in event.end) part.filtered.push({source: relative, why: event.end.filtered});
  }
}

async function saveProgress(output: string, mark: string, parts: Record<ShardPart, Part>): Promise<void> {
  const entries = Object.values(parts).flatMap(({name, resume, earlier, writer, bad, filtered}) => {
    const shards = [...earlier, ...writer.shards];
    if (resume === undefined || shards.length === 0) return [];
    return [[name, {...resume, shards, bad, filtered}] as const];
  });
  await writeProgress(output, mark, Object.fromEntries(entries));
}

function sampleOf(
  {relative}: SourceVideo,
  {number, start, crop, source, bytes, shot, camera}: CutClip,
  {caption, metadata}: AboutVideo,
  codec: ClipCodec,
  {frames, fps, width, height}: CutOptions,
): {key: string; members: Record<string, Uint8Array>} {
  const own = {videoid: relative, source: relative, start, shot, duration: frames / fps, fps, frames, width, height};
  const meta = {...own, ...metadata?.({start, crop, source}), ...(camera ? {camera} : {})};
  const members: Record<string, Uint8Array> = {[codec]: bytes!, json: Buffer.from(JSON.stringify(meta))};
  if (caption !== undefined) members.txt = Buffer.from(caption);
  return {key: clipKey(relative, number), members};
}
