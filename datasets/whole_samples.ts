// Every sample of one shard, whole and in order, decoded in threads ahead of whoever takes them: what is encoded once and for
// all. A sample longer than the longest clip comes in pieces.
import {readShards, type Sample} from 'webdataset-ts';
import {BadSample} from './bad_sample.ts';
import type {BadSampleReport, ClipBox} from './batch.ts';
import {type DecodePool, openDecodePool} from './decode_pool.ts';
import {boxesOf, type Metadata, moveBoxes} from './labels.ts';
import {latentsMember} from './latent_sample.ts';
import {badSampleReport} from './ready_clip.ts';
import {checkSample, memberExtensions} from './sample.ts';
import {damageTo, readable} from './shard_errors.ts';
import type {VideoEngine} from './video/video_reader.ts';

export interface WholeOptions {
  shard: string;
  /** Pixels of the frames that come out: the largest centred part of that aspect, scaled. */
  width: number;
  height: number;
  /** Frames per second; the video's own where undefined. */
  fps: number | undefined;
  /** Longer samples come in pieces of this many frames. */
  maxFrames: number;
  videoEngine?: VideoEngine | 'auto';
}

export interface WholeSample {
  /** The sample's; of a longer one's later pieces `KEY_1`, `KEY_2`, ... */
  key: string;
  /** RGB uint8 [frames,height,width,3], in memory of its own. */
  pixels: Uint8Array;
  frames: number;
  /** 0 for a still image. */
  fps: number;
  caption: string | undefined;
  /** As it was. */
  metadata: Metadata;
  boxes: ClipBox[];
}

const minSide = 8;
const timeoutMs = 120_000;

/** A pool whose slots hold the longest piece. */
export function wholePool(
  {width, height, maxFrames, videoEngine = 'auto'}: Omit<WholeOptions, 'shard'>,
  threads: number,
): {pool: DecodePool; inFlight: number} {
  const slots = threads + 1;
  const clipBytes = maxFrames * width * height * 3;
  return {pool: openDecodePool({threads, slots, clipBytes, engine: videoEngine}), inFlight: slots};
}

/**
 * Samples and what is bad among them, in the order of the shard.
 * @throws UserError when the shard cannot be had.
 */
export async function* wholeSamples(
  options: WholeOptions,
  {pool, inFlight}: {pool: DecodePool; inFlight: number},
): AsyncGenerator<WholeSample | {report: BadSampleReport}> {
  const queue: Promise<(WholeSample | {report: BadSampleReport})[]>[] = [];
  const lost: BadSampleReport[] = [];
  const onError = damageTo(damage => lost.push(damage));
  const enqueue = (next: (typeof queue)[number]) => {
    next.catch(() => {}); // it is awaited in order
    queue.push(next);
  };
  const takeLost = () => {
    if (lost.length > 0) enqueue(Promise.resolve(lost.splice(0).map(report => ({report}))));
  };
  try {
    for await (const sample of readShards({urls: [options.shard], onError, extensions: memberExtensions})) {
      takeLost();
      enqueue(piecesOf(sample, options, pool));
      while (queue.length > inFlight) yield* await queue.shift()!;
    }
    takeLost();
    while (queue.length > 0) yield* await queue.shift()!;
  } catch (error) {
    throw readable(error);
  }
}

async function piecesOf(
  sample: Sample,
  options: WholeOptions,
  pool: DecodePool,
): Promise<(WholeSample | {report: BadSampleReport})[]> {
  const {width, height, fps: wanted, maxFrames} = options;
  const pieces: WholeSample[] = [];
  try {
    const {key, media, extension, caption, metadata} = checkSample(sample, {captions: 'optional'});
    if (extension === latentsMember) throw new BadSample('unreadable', 'It holds latents already.');
    const stored = boxesOf(metadata.boxes);
    for (let from = 0; ; ) {
      const shape = {frames: maxFrames, width, height};
      const {pixels, frames, place, release} = await pool.decode(media, extension, {
        shape,
        fps: wanted,
        from,
        minSide,
        timeoutMs,
      });
      const {fps, source} = place;
      const labelFps = typeof metadata.fps === 'number' && metadata.fps > 0 ? metadata.fps : source.fps;
      if (frames > 0) {
        const name = pieces.length === 0 ? key : `${key}_${pieces.length}`;
        const boxes = moveBoxes(stored, place, frames, labelFps);
        pieces.push({key: name, pixels: pixels.slice(), frames, fps, caption, metadata, boxes});
      }
      release();
      from += frames / (fps || 1);
      // Half a frame allows for rounded durations.
      if (fps === 0 || frames < maxFrames || source.duration - from < 0.5 / fps) return pieces;
    }
  } catch (error) {
    // Part of a sample is no sample: its latents would lack what its video promises.
    return [{report: badSampleReport(sample, error)}];
  }
}
