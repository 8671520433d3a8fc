// What a trainer receives.
import type {JsonValue} from 'webdataset-ts';
import type {BadReason} from './bad_sample.ts';

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
  /** By name (`night`, `crowdedness`, ...) a whole number from 0; absent where it is missing or a text, see `metadata`. */
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
