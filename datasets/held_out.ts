// A fixed set of clips, for held-out losses and previews: the same on every call.
import {readShards} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import type {BadSampleReport, VideoBatch} from './batch.ts';
import {stopped} from './batches.ts';
import {bucketBatch} from './bucket_batch.ts';
import {type DataConfig, resolveData} from './data_config.ts';
import {openDecodePool} from './decode_pool.ts';
import {badSampleReport, readyClip} from './ready_clip.ts';
import {memberExtensions} from './sample.ts';
import {damageTo, readable} from './shard_errors.ts';

/**
 * The first `count` usable clips of the shards in their order, each from the middle of its sample, a batch each. They have
 * the data's own size and length; buckets, weights, crops and mirrors are of training.
 * @throws UserError when there are fewer, or at a bad sample unless `onBadSample` is `skip`.
 */
export async function heldOutClips(
  config: DataConfig,
  count: number,
  onBadSample?: (report: BadSampleReport) => void,
): Promise<VideoBatch[]> {
  const {buckets: _, crop: _crop, flip: _flip, ...own} = config;
  const data = resolveData({...own, batchSize: 1});
  const [bucket] = data.buckets;
  const {frames, width, height} = bucket!;
  const clipBytes = frames * width * height * 3;
  const pool = openDecodePool({threads: data.decoders, slots: 1, clipBytes, engine: data.videoEngine});
  const held: VideoBatch[] = [];
  const refuse = (report: BadSampleReport) => {
    if (data.onBadSample === 'stop') throw stopped(report);
    onBadSample?.(report);
  };
  const onError = damageTo(refuse);
  try {
    for (const source of data.sources) {
      for await (const sample of readShards({
        urls: source.shards,
        onError,
        extensions: memberExtensions,
        ...data.remote,
      })) {
        if (held.length === count) return held;
        try {
          const clip = await readyClip(sample, data, source, pool, undefined);
          const batch = bucketBatch(bucket!, clip);
          batch.add(clip);
          held.push({...batch.take(), position: null, waitedMs: 0});
        } catch (error) {
          refuse(badSampleReport(sample, error));
        }
      }
    }
    if (held.length === count) return held;
  } catch (error) {
    throw readable(error);
  } finally {
    await pool.close();
  }
  const names = data.sources.flatMap(({shards}) => shards).join(', ');
  throw new UserError(
    `${count} held-out clips were asked for but ${names} has ${held.length}: ask for fewer or add videos.`,
  );
}
