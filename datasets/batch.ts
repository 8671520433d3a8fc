// What a trainer receives, and what it may ask for.
import type {JsonValue} from 'webdataset-ts';
import type {BadReason} from './bad_sample.ts';
import type {VideoEngine} from './video/video_reader.ts';

/** Where in the data a run is: JSON that resumes exactly after the batch it came with. */
export type DataPosition = JsonValue;

/** A box on one frame of a clip. */
export interface ClipBox {
  /** 0 .. T-1 */
  frame: number;
  /** Left, top, right, bottom as shares of the frame's width and height, in [0,1], left < right and top < bottom. */
  xyxy: readonly [left: number, top: number, right: number, bottom: number];
  class: string | number;
}

/** What an autoencoder's encoder made of the frames beforehand: rawLatents, unscaled. */
export interface LatentArrays {
  /** float32 [B,T,h,w,C], stored as F16. */
  mean: Float32Array;
  logvar: Float32Array;
  shape: readonly [batch: number, frames: number, height: number, width: number, channels: number];
}

/** What a text encoder made of the captions beforehand (of the empty text where there is none). */
export interface TextArrays {
  /** float32 [B,L,D], stored as F16. */
  hidden: Float32Array;
  shape: readonly [batch: number, tokens: number, channels: number];
}

export interface VideoBatch {
  /** Still images (T is 1) or clips: never both in one batch. */
  kind: 'images' | 'clips';
  /** RGB uint8 [B,T,H,W,3], the caller's to keep; of length 0 where the shards hold latents. */
  frames: Uint8Array;
  /** Of the frames, also where only their latents are here. */
  shape: readonly [batch: number, frames: number, height: number, width: number, channels: 3];
  /** Instead of frames, from shards that `video-ldm encode` wrote. */
  latents?: LatentArrays;
  /** Where every sample has an embedding by the text encoder that was asked for. */
  text?: TextArrays;
  keys: string[];
  captions: (string | undefined)[];
  /** Frames per second of each clip; 0 for a still image. */
  fps: number[];
  /** By name (`night`, `crowdedness`, ...) a whole number from 0; a name that a sample lacks is absent. */
  labels: Readonly<Record<string, number>>[];
  /** The boxes of each clip, by frame. */
  boxes: ClipBox[][];
  /** The samples' KEY.json, an empty object where there is none. */
  metadata: {[key: string]: JsonValue}[];
  /** Resumes AFTER this batch. */
  position: DataPosition;
  /** Milliseconds the consumer waited for this batch. */
  waitedMs: number;
}

/** A sample that was left out (or that stopped the run), as `bad-samples.jsonl` lists it. */
export interface BadSampleReport {
  shard: string;
  key: string;
  reason: BadReason;
  detail: string;
}

export interface DataConfig {
  /** Shards: paths or addresses, brace-expanded. */
  shards: string | readonly string[];
  /** T: frames of a clip; 1 takes still images too. */
  frames: number;
  /** Frames per second of a clip; the video's own where undefined. */
  fps?: number;
  width: number;
  height: number;
  batchSize: number;
  /** Where the crop of a video of another aspect lies. Default `center`. */
  crop?: 'center' | 'random';
  /** Mirror half of the clips. Default false. */
  flip?: boolean;
  /** Samples shuffled together (shards are always shuffled); 0 keeps the order within shards. Default 1000. */
  shuffle?: number;
  /** Go round again at the end. Default true; false gives each sample once and a last, smaller batch. */
  repeat?: boolean;
  /** Decoding threads. Data do not depend on it. Default 1. */
  decoders?: number;
  /** Batches decoded ahead. Default 2. */
  prefetch?: number;
  /** Default `stop`: a run that goes on over damaged data was asked to. */
  onBadSample?: 'skip' | 'stop';
  /** Takes latent shards of the encoder with this hash, and no other's; undefined: a stage that needs pixels. */
  latents?: {encoder: string};
  /** Gives the text embeddings of shards that have them, of the text encoder with this hash and no other's. */
  text?: {encoder: string};
  /** Labels read from KEY.json. Default `night` and `crowdedness`. */
  labels?: readonly string[];
  /** `required` makes a sample without KEY.txt a bad one. Default `optional`. */
  captions?: 'optional' | 'required';
  /** Videos and images whose shorter side is less are bad samples. Default 8 pixels. */
  minSide?: number;
  videoEngine?: VideoEngine | 'auto';
  /** Milliseconds a decoder may take for one sample. Default 120,000. */
  decodeTimeoutMs?: number;
}
