// One sample made ready: checked, decoded (in a thread) or cut from its latents, its labels and boxes moved into the clip.
import {UserError} from '../src/platform/user_error.ts';
import {BadSample} from './bad_sample.ts';
import type {ClipBox} from './batch.ts';
import type {ClipPlace} from './clip_cut.ts';
import type {ResolvedData, ResolvedSource} from './data_config.ts';
import type {DecodePool} from './decode_pool.ts';
import {boxesOf, labelsOf, type Metadata, moveBoxes} from './labels.ts';
import {type ClipLatents, type ClipText, cutLatents, latentsMember, latentsRecord, readText} from './latent_sample.ts';
import {type CheckedSample, checkSample, clipWanted} from './sample.ts';

export interface ReadyClip {
  key: string;
  /** Index of its bucket. */
  bucket: number;
  /** Frames RGB uint8 [T,H,W,3], valid until `release`; or latents. */
  content: {pixels: Uint8Array} | {latents: ClipLatents};
  text: ClipText | undefined;
  caption: string | undefined;
  /** 0 for a still image. */
  fps: number;
  labels: Record<string, number>;
  boxes: ClipBox[];
  metadata: Metadata;
  release(): void;
}

/**
 * @param at where in the run it is used; undefined for held-out clips, which lie in the middle
 * @throws BadSample; UserError for latents or embeddings of another encoder than the run's.
 */
export async function readyClip(
  sample: Parameters<typeof checkSample>[0],
  data: ResolvedData,
  source: ResolvedSource,
  pool: DecodePool,
  at: {seed: number; epoch: number} | undefined,
): Promise<ReadyClip> {
  const checked = checkSample(sample, {captions: source.caption === undefined ? data.captions : 'optional'});
  const {key, metadata} = checked;
  const labels = labelsOf(metadata, data.labels);
  const stored = boxesOf(metadata.boxes);
  const text = textOf(checked, data);
  const wanted = clipWanted(data, source, key, at);
  const common = {key, text, caption: checked.caption ?? source.caption, labels, metadata};
  const describe = (place: ClipPlace) => {
    const {frames} = data.buckets[place.shape]!;
    const said = metadata.fps;
    const labelFps = typeof said === 'number' && said > 0 && said <= 1000 ? said : place.source.fps;
    return {bucket: place.shape, fps: place.fps, boxes: moveBoxes(stored, place, frames, labelFps)};
  };
  if (checked.extension !== latentsMember) {
    const {pixels, place, release} = await pool.decode(checked.media, checked.extension, wanted);
    return {...common, ...describe(place), content: {pixels}, release};
  }
  const record = latentsRecord(metadata);
  refuseOtherEncoder(checked, data, record.encoder);
  const {latents, place} = cutLatents(checked.media, record, wanted);
  return {...common, ...describe(place), content: {latents}, release: () => {}};
}

function refuseOtherEncoder({shard, key}: CheckedSample, {latents, crop, flip}: ResolvedData, encoder: string): void {
  const where = `Sample ${key} of shard ${shard}`;
  if (latents === undefined)
    throw new UserError(`${where} holds latents, but this stage trains on pixels: name shards of videos or images.`);
  if (latents.encoder !== encoder) {
    throw new UserError(
      `${where} holds latents of the encoder ${encoder.slice(0, 12)}, but this run's is ${latents.encoder.slice(0, 12)}: encode the shards again with the run's autoencoder (video-ldm encode), or start from theirs.`,
    );
  }
  if (crop !== 'center' || flip)
    throw new UserError(`${where} holds latents, which cannot be cropped or mirrored: leave "crop" and "flip" out.`);
}

function textOf({text, shard, key}: CheckedSample, data: ResolvedData): ClipText | undefined {
  if (text === undefined || data.text === undefined) return undefined;
  const {encoder, ...embedding} = readText(text);
  if (encoder === data.text.encoder) return embedding;
  throw new UserError(
    `Sample ${key} of shard ${shard} holds an embedding of the text encoder ${encoder.slice(0, 12)}, but this run's is ${data.text.encoder.slice(0, 12)}: encode the shards again with the run's (video-ldm encode).`,
  );
}

/** A sample's failure as it is listed; any other error is thrown on. */
export function badSampleReport({shard, key}: {shard: string; key: string}, error: unknown) {
  if (error instanceof BadSample) return {shard, key, reason: error.reason, detail: error.message};
  throw error;
}
