// Data for training: shards in, batches of clips out; and the tools that write shards and videos.
export {type BadReason, BadSample, badReasons} from './bad_sample.ts';
export type {BadSampleReport, DataConfig, DataPosition, VideoBatch} from './batch.ts';
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
} from './video/video_reader.ts';
