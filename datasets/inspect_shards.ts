// What is in a set of shards, measured by reading all of it: counts, sizes, durations, rates, bad samples, a contact sheet.
import {readShards, type Sample} from 'webdataset-ts';
import {BadSample} from './bad_sample.ts';
import type {BadSampleReport} from './batch.ts';
import type {ClipShape, ClipWanted} from './clip_cut.ts';
import {loadSharp} from './image_library.ts';
import {boxesOf, labelsOf} from './labels.ts';
import {cutLatents, latentsMember, latentsRecord} from './latent_sample.ts';
import {decodeMedia, videoExtensions} from './media.ts';
import {type CheckedSample, checkSample, memberExtensions} from './sample.ts';
import {damageTo, readable} from './shard_errors.ts';
import {type SheetRow, writeContactSheet} from './video/contact_sheet.ts';
import {openVideoReader, type VideoEngine, type VideoReader} from './video/video_reader.ts';

export interface InspectOptions {
  shards: string | readonly string[];
  /** Look at this many samples only. */
  limit?: number;
  /** Decode every frame, which is what finds damage inside a file; else only headers are read. Default true. */
  decode?: boolean;
  /** Path of a PNG with the first clips. */
  sheet?: string;
  /** Clips on the sheet. Default 16. */
  sheetClips?: number;
  captions?: 'optional' | 'required';
  /** Labels to check and count. Default `night` and `crowdedness`. */
  labels?: readonly string[];
  videoEngine?: VideoEngine | 'auto';
  onProgress?: (samples: number) => void;
}

export interface ShardsReport {
  shards: number;
  samples: number;
  /** Of the samples' members. */
  bytes: number;
  /** Good samples by media member: mp4, webp, ... */
  kinds: Record<string, number>;
  /** Good samples by "WIDTHxHEIGHT". */
  sizes: Record<string, number>;
  /** Good videos by frames per second, rounded to a hundredth. */
  rates: Record<string, number>;
  /** Seconds of good videos; undefined where there is none. */
  duration: {total: number; shortest: number; longest: number} | undefined;
  frames: number;
  captions: {with: number; without: number; meanLength: number};
  /** Good samples by the values of each label; at most 50 values are told apart. */
  labels: Record<string, Record<string, number>>;
  boxes: number;
  /** Good samples of latents by the hash of their encoder. */
  encoders: Record<string, number>;
  bad: BadSampleReport[];
  /** The contact sheet that was written. */
  sheet: string | undefined;
}

interface Seen {
  width: number;
  height: number;
  fps: number;
  duration: number;
  frames: number;
}

/** @throws UserError when a shard cannot be had; what is bad in a shard is listed in the report. */
export async function inspectShards(options: InspectOptions): Promise<ShardsReport> {
  const names = new Set<string>();
  const report: ShardsReport = {
    shards: 0,
    samples: 0,
    bytes: 0,
    kinds: {},
    sizes: {},
    rates: {},
    duration: undefined,
    frames: 0,
    captions: {with: 0, without: 0, meanLength: 0},
    labels: {},
    boxes: 0,
    encoders: {},
    bad: [],
    sheet: undefined,
  };
  let opened: Promise<VideoReader> | undefined;
  const reader = () => {
    opened ??= openVideoReader(options.videoEngine);
    return opened;
  };
  const rows: SheetRow[] = [];
  const onError = damageTo(damage => report.bad.push(damage));
  try {
    for await (const sample of readShards({urls: options.shards, onError, extensions: memberExtensions})) {
      if (report.samples >= (options.limit ?? Number.POSITIVE_INFINITY)) break;
      names.add(sample.shard);
      report.samples++;
      report.bytes += Object.values(sample.members).reduce((sum, member) => sum + member.byteLength, 0);
      try {
        const checked = checkSample(sample, {captions: options.captions ?? 'optional'});
        const labels = labelsOf(checked.metadata, options.labels ?? ['night', 'crowdedness']);
        const boxes = boxesOf(checked.metadata.boxes).length;
        const seen = await look(checked, options.decode ?? true, reader);
        const visible = checked.extension !== latentsMember;
        if (options.sheet !== undefined && visible && rows.length < (options.sheetClips ?? 16))
          rows.push(await row(checked, seen, reader));
        count(report, checked, seen);
        countLabels(report, checked, labels, boxes);
      } catch (error) {
        if (!(error instanceof BadSample)) throw error;
        report.bad.push(listed(sample, error));
      }
      options.onProgress?.(report.samples);
    }
  } catch (error) {
    throw readable(error);
  }
  report.shards = names.size;
  if (options.sheet !== undefined && rows.length > 0) report.sheet = await writeContactSheet(options.sheet, rows);
  return report;
}

const listed = ({shard, key}: Sample, {reason, message}: BadSample): BadSampleReport => ({
  shard,
  key,
  reason,
  detail: message,
});

async function look(
  {media, extension, metadata}: CheckedSample,
  decode: boolean,
  reader: () => Promise<VideoReader>,
): Promise<Seen> {
  if (extension === latentsMember) {
    const record = latentsRecord(metadata);
    const {width, height, fps, frames} = record;
    // All of its frames: what is read is checked.
    if (decode) cutLatents(media, record, clip({frames, width, height}, 0, fps === 0 ? undefined : fps));
    return {width, height, fps, frames, duration: fps === 0 ? 0 : frames / fps};
  }
  if ((videoExtensions as readonly string[]).includes(extension)) {
    const video = await (await reader()).open(media);
    try {
      const {width, height, fps, duration, frames} = video.info;
      let decoded = 0;
      // Small frames: the decoder does all its work, the conversion little.
      if (decode) for await (const _ of video.frames({start: 0, fps, width: 16, height: 16})) decoded++;
      return {width, height, fps, duration, frames: decode ? decoded : (frames ?? Math.round(duration * fps))};
    } finally {
      video.close();
    }
  }
  // The last frame: an animation is whole when that can be had.
  const wanted = clip({frames: 1, width: 16, height: 16}, 0.9999);
  await decodeMedia(media, extension, wanted, new Uint8Array(16 * 16 * 3), reader);
  const meta = await (await loadSharp())(media).metadata();
  const pages = meta.pages ?? 1;
  const fps = pages === 1 ? 0 : 1000 / (meta.delay?.[0] || 100);
  return {
    width: meta.width,
    height: meta.pageHeight ?? meta.height,
    fps,
    duration: pages === 1 ? 0 : pages / fps,
    frames: pages,
  };
}

/** Up to eight frames spread over the sample, 64 pixels high. */
async function row(
  {key, media, extension}: CheckedSample,
  seen: Seen,
  reader: () => Promise<VideoReader>,
): Promise<SheetRow> {
  const frames = Math.max(1, Math.min(8, seen.frames));
  const height = 64;
  const width = Math.max(16, Math.min(256, Math.round((height * seen.width) / seen.height)));
  const fps = seen.fps === 0 ? undefined : Math.min(seen.fps, frames / seen.duration);
  const data = new Uint8Array(frames * height * width * 3);
  await decodeMedia(media, extension, clip({frames, width, height}, 0, fps), data, reader);
  return {frames: {data, shape: [frames, height, width, 3]}, label: key.slice(-40)};
}

/** A request for one clip that begins at a share of the source. */
function clip(shape: ClipShape, start: number, fps?: number): ClipWanted {
  const random = {rate: 0, start, x: 0.5, y: 0.5, mirror: 0};
  const rates = fps === undefined ? [] : [fps];
  return {shapes: [shape], rates, asImage: false, crop: 'cover', minSide: 1, timeoutMs: 60_000, random};
}

const mostValues = 50;

function countLabels(
  report: ShardsReport,
  {extension, metadata}: CheckedSample,
  labels: Record<string, number>,
  boxes: number,
): void {
  report.boxes += boxes;
  for (const [name, value] of Object.entries(labels)) {
    report.labels[name] ??= {};
    const counts = report.labels[name];
    const shown = value in counts || Object.keys(counts).length < mostValues ? String(value) : 'others';
    counts[shown] = (counts[shown] ?? 0) + 1;
  }
  if (extension !== latentsMember) return;
  const {encoder} = latentsRecord(metadata);
  report.encoders[encoder] = (report.encoders[encoder] ?? 0) + 1;
}

function count(report: ShardsReport, {extension, caption}: CheckedSample, seen: Seen): void {
  const add = (counts: Record<string, number>, name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  add(report.kinds, extension);
  add(report.sizes, `${seen.width}x${seen.height}`);
  report.frames += seen.frames;
  if (seen.fps > 0) {
    add(report.rates, String(Math.round(seen.fps * 100) / 100));
    const {total, shortest, longest} = report.duration ?? {total: 0, shortest: Number.POSITIVE_INFINITY, longest: 0};
    report.duration = {
      total: total + seen.duration,
      shortest: Math.min(shortest, seen.duration),
      longest: Math.max(longest, seen.duration),
    };
  }
  const {captions} = report;
  if (caption === undefined) {
    captions.without++;
  } else {
    captions.meanLength = (captions.meanLength * captions.with + caption.length) / (captions.with + 1);
    captions.with++;
  }
}
