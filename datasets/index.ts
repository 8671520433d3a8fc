// Data for training: shards in, batches of clips out; and the tools that write shards and videos.
//
// One sample's way to a batch, in order:
//   data_config.ts   what may be asked for: sources with weights, buckets, how clips are cut
//   sources.ts       epochs of samples of each source, drawn by weight, in an order that (seed, draw) fixes
//   sample.ts        which member is the video, caption and metadata checked; the random numbers of its clip
//   ready_clip.ts    decoded, or cut from latents (latent_sample.ts), with its labels and boxes (labels.ts)
//   decode_pool.ts   threads and their slots of shared memory; decode_worker.ts is one thread
//   media.ts         video, animated image or still -> RGB frames; clip_cut.ts chooses bucket, rate, start and crop
//   bucket_batch.ts  clips of one bucket stacked
//   batches.ts       all of it in order, with the position (position.ts) that resumes after each batch
//   video/           one VideoReader and one VideoEncoder over node-av and over ffmpeg; previews, contact sheets
// whole_samples.ts gives whole shards to what encodes them (trainers/encode/encode.ts).
// And into shards: shard_folder.ts, shard_webvid.ts, shard_rds.ts list videos; shard_videos.ts has threads (cut_pool.ts)
// cut them into clips inside shots (cut_clips.ts, shots.ts; camera.ts moves the crop window); inspect_shards.ts says what is in the result.
//
// What is wrong with an input is a BadSample with a reason from bad_sample.ts; what a user can mend is a UserError.
export {type BadReason, BadSample, badReasons} from './bad_sample.ts';
export type {
  BadSampleReport,
  ClipBox,
  DataPosition,
  LatentArrays,
  TextArrays,
  VideoBatch,
} from './batch.ts';
export {type BatchesOptions, batches} from './batches.ts';
export {type CameraOptions, defaultCamera} from './camera.ts';
export type {ClipCodec} from './clip_file.ts';
export type {CutOptions, VideoFilters} from './cut_clips.ts';
export type {BucketConfig, DataConfig, SourceConfig} from './data_config.ts';
export {digest} from './digest.ts';
export {heldOutClips} from './held_out.ts';
export {type InspectOptions, inspectShards, type ShardsReport} from './inspect_shards.ts';
export type {ClipLatents, ClipText, LatentsRecord} from './latent_sample.ts';
export {type LatentShard, namedShards, openLatentShard} from './latent_shards.ts';
export {type ShardFolderOptions, shardFolder} from './shard_folder.ts';
export {type ShardRdsOptions, shardRds} from './shard_rds.ts';
export type {BadFile, ClipOptions, FilteredFile, ShardReport} from './shard_videos.ts';
export {type ShardWebvidOptions, shardWebvid} from './shard_webvid.ts';
export {readStillImage} from './still_image.ts';
export {findComment} from './video/comments.ts';
export {contactSheet, type SheetOptions, type SheetRow, writeContactSheet} from './video/contact_sheet.ts';
export {type EncodeOptions, type Frames, openVideoEncoder, type VideoEncoder} from './video/video_encoder.ts';
export {
  type Crop,
  type FramesRequest,
  type OpenVideo,
  openVideoReader,
  type VideoEngine,
  type VideoInfo,
  type VideoLimits,
  type VideoReader,
  videoEngines,
} from './video/video_reader.ts';
export {type WriteVideoOptions, writeVideo} from './video/write_video.ts';
export {type WholeSample, wholePool, wholeSamples} from './whole_samples.ts';
