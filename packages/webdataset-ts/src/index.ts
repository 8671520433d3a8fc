// webdataset-ts: tar shards in, samples out, and back.
//
//   readShards({urls, seed, epoch, split, state, onError}) -> AsyncGenerator<Sample>   one epoch, resumable
//   shardSource(options) -> Source<Sample>                 (state?) => AsyncIterable, for shuffle, mix and repeat
//   openShardWriter({path: 'x-%06d.tar', maxCount, maxBytes}) -> {write({key, members}), close()}
//
//   Sample = {key, shard, members: {[extension]: Uint8Array}, state}; `state` resumes after the sample.
export {
  collectErrors,
  type ErrorCode,
  type ErrorHandler,
  type ErrorScope,
  throwError,
  WebDatasetError,
} from './errors.ts';
export type {OpenOptions} from './open.ts';
export {
  type ReadShardsOptions,
  readShards,
  type ShardState,
  type Split,
  shardOrder,
  shardSource,
  shareOf,
} from './read_shards.ts';
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
