// Counts what each source gives to each bucket, so that a bucket too small to fill a batch is said aloud and a source that
// gives nothing ends the run instead of turning for ever.
import {UserError} from '../src/platform/user_error.ts';
import {type ResolvedData, shapeName} from './data_config.ts';

export interface BucketCensus {
  good(source: number, bucket: number): void;
  /** A bad sample; its source where it is known. */
  bad(source: number | undefined): void;
  /** The error of a source that gave nothing in a whole epoch and would give nothing in the next one. */
  epochEnded(epoch: {source: number; whole: boolean}): UserError | undefined;
  /** Once every source has come to the end of an epoch seen whole: the buckets that got less than a batch. Once only. */
  notes(): string[];
}

export function bucketCensus({sources, buckets, repeat}: ResolvedData): BucketCensus {
  const clips = buckets.map(() => 0);
  const ofSource = sources.map(() => ({good: 0, bad: 0, ended: false}));
  let said = false;
  return {
    good(source, bucket) {
      clips[bucket]!++;
      ofSource[source]!.good++;
    },
    bad(source) {
      if (source !== undefined) ofSource[source]!.bad++;
    },
    epochEnded({source, whole}) {
      const counts = ofSource[source]!;
      const {good, bad} = counts;
      Object.assign(counts, {good: 0, bad: 0, ended: counts.ended || whole});
      if (good > 0 || !whole || !repeat) return undefined;
      return new UserError(`None of the ${bad} samples of ${sources[source]!.shards.join(', ')} could be used.`);
    },
    notes() {
      if (said || !ofSource.every(({ended}) => ended)) return [];
      said = true;
      return buckets.flatMap((bucket, n) => {
        const count = clips[n]!;
        if (count >= bucket.batchSize) return [];
        const what = `The bucket "${shapeName(bucket)}" got ${count} samples in the first epoch, fewer than its batch of ${bucket.batchSize}`;
        if (count === 0) return [`${what}: nothing in the data fits it.`];
        return [`${what}: ${repeat ? 'they wait for the next epochs to fill it' : 'its batch is smaller'}.`];
      });
    },
  };
}
