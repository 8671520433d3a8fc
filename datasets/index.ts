// Data for training: shards in, batches of clips out; and the tools that write shards and videos.
export {type BadReason, BadSample, badReasons} from './bad_sample.ts';
export type {BadSampleReport, DataConfig, DataPosition, VideoBatch} from './batch.ts';
export {type BatchesOptions, batches, type HeldOutClips, heldOutClips} from './batches.ts';
export {type CameraOptions, defaultCamera} from './camera.ts';
export type {ClipCodec} from './clip_file.ts';
export {type InspectOptions, inspectShards, type ShardsReport} from './inspect_shards.ts';
export {type ShardFolderOptions, shardFolder} from './shard_folder.ts';
export {type ShardRdsOptions, shardRds} from './shard_rds.ts';
export type {BadFile, ClipOptions, ShardReport} from './shard_videos.ts';
export {type ShardWebvidOptions, shardWebvid} from './shard_webvid.ts';
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
