// webdataset-ts: tar shards in, samples out, and back.
//
//   readShards({urls, seed, epoch, split, state, onError}) -> AsyncGenerator<Sample>   one epoch, resumable
//   shardSource(options) -> Source<Sample>                 (state?) => AsyncIterable, for shuffle, mix and repeat
//   openShardWriter({path: 'x-%06d.tar', maxCount, maxBytes}) -> {write({key, members}), close()}
//
//   shuffle(source, {seed, epoch, window}), mix([{source, weight}], {seed}), interleave(sources), repeat(epoch => source)
//                                                          Source -> Source, each with a small state of its own
//   decode(items, {decoders}), map(items, fn, {concurrency}), filter, take, batch(items, size), prefetch(items, ahead)
//                                                          AsyncIterable -> AsyncIterable; the state travels on the items
//
//   Sample = {key, shard, members: {[extension]: Uint8Array}, state}; `state` resumes after the sample.
export type {CacheOptions} from './cache.ts';
export {type DecodedSample, type Decoder, decode, decoderOf, decoders} from './decode.ts';
export {
  collectErrors,
  type ErrorCode,
  type ErrorHandler,
  type ErrorScope,
  throwError,
  WebDatasetError,
} from './errors.ts';
export type {HttpOptions} from './http.ts';
export {interleave, type MixState, mix} from './mix.ts';
export type {OpenOptions} from './open.ts';
export {
  type ReadShardsOptions,
  readSample,
  readShards,
  type ShardState,
  type Split,
  shardOrder,
  shardSource,
  shareOf,
} from './read_shards.ts';
export {type RepeatState, repeat} from './repeat.ts';
export type {S3Options} from './s3.ts';
export {type ShuffleOptions, type ShuffleState, shuffle} from './shuffle.ts';
export {type Batch, batch, filter, type MapOptions, map, prefetch, take} from './stages.ts';
export {defaultLimits, type JsonValue, type Limits, type Sample, type Source, type Stated} from './types.ts';
export {expandUrls, shardName} from './urls.ts';
export {
  encodeMember,
  type MemberValue,
  openShardWriter,
  type ShardWriter,
  type ShardWriterOptions,
  type WrittenShard,
} from './writer.ts';
