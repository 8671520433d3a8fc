// Writes shards of latents: one for each shard of videos, under its name.
import path from 'node:path';
import {expandUrls, openShardWriter} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import {type ClipLatents, type ClipText, type LatentsRecord, latentsBytes, textBytes} from './latent_sample.ts';
import type {WholeSample} from './whole_samples.ts';

export interface LatentShard {
  write(sample: WholeSample, latents: ClipLatents, text: (ClipText & {encoder: string}) | undefined): Promise<void>;
  /** Undefined where nothing was written, and no file is there. */
  close(): Promise<{bytes: number; sha256: string} | undefined>;
  abort(): Promise<void>;
}

/** The file appears when it is whole, in place of an earlier one. */
export function openLatentShard(
  file: string,
  made: Pick<LatentsRecord, 'encoder' | 'preprocessing' | 'height' | 'width'>,
): LatentShard {
  const most = Number.MAX_SAFE_INTEGER;
  const writer = openShardWriter({path: () => file, maxCount: most, maxBytes: most, overwrite: true});
  return {
    write: (sample, latents, text) =>
      writer.write({
        key: sample.key,
        members: {
          'latents.safetensors': latentsBytes(latents),
          json: Buffer.from(JSON.stringify(metadataOf(sample, made))),
          ...(text ? {'text.safetensors': textBytes(text, text.encoder)} : {}),
          ...(sample.caption === undefined ? {} : {txt: Buffer.from(sample.caption)}),
        },
      }),
    close: async () => (await writer.close())[0],
    abort: () => writer.abort(),
  };
}

/** KEY.json of the frames that were encoded: their size and rate, boxes in their pixels, and what the latents are. */
function metadataOf(
  {metadata, frames, fps, boxes}: WholeSample,
  made: Pick<LatentsRecord, 'encoder' | 'preprocessing' | 'height' | 'width'>,
): object {
  const {width, height} = made;
  const record: LatentsRecord = {...made, fps, frames};
  const own = {...metadata, width, height, frames, ...(fps > 0 ? {fps} : {}), latents: record};
  if (!('boxes' in metadata)) return own;
  const inPixels = boxes.map(({frame, xyxy: [left, top, right, bottom], class: kind}) => {
    return {frame, xyxy: [left * width, top * height, right * width, bottom * height], class: kind};
  });
  return {...own, boxes: inPixels};
}

/**
 * Shards, brace-expanded, each with the name of its own in an output folder.
 * @throws UserError when two would have the same.
 */
export function namedShards(shards: readonly string[]): {shard: string; name: string}[] {
  const named = expandUrls(shards).map(shard => {
    return {shard, name: path.posix.basename(shard.split(/[?#]/)[0]!).replace(/\.gz$/, '')};
  });
  const twice = named.find(({name}, n) => named.findIndex(other => other.name === name) !== n);
  if (twice)
    throw new UserError(`Two shards are named ${twice.name}: encode them into different folders, or rename one.`);
  return named;
}
