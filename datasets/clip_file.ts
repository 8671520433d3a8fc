// The bytes a clip is stored as in a shard: mp4 or webm where an encoder is there, else WebP frames, which sharp reads anywhere.
import {UserError} from '../src/platform/user_error.ts';
import {loadSharp} from './image_library.ts';
import {checkFrames, type Frames, openVideoEncoder} from './video/video_encoder.ts';
import type {VideoEngine} from './video/video_reader.ts';

export type ClipCodec = 'mp4' | 'webm' | 'webp';

export interface ClipEncoder {
  codec: ClipCodec;
  encode(frames: Frames, fps: number): Promise<Uint8Array>;
}

/**
 * `auto` is mp4 with node-av and WebP frames without it: with ffmpeg alone each clip would cost a process start to read.
 * @throws UserError when a codec asked for by name has no encoder here.
 */
export async function openClipEncoder(
  codec: ClipCodec | 'auto' = 'auto',
  engine: VideoEngine | 'auto' = 'auto',
): Promise<ClipEncoder> {
  const encoder = codec === 'webp' ? undefined : await openVideoEncoder(engine);
  const chosen = codec !== 'auto' ? codec : encoder?.name === 'node-av' ? 'mp4' : 'webp';
  if (chosen === 'webp') return {codec: 'webp', encode: webpFrames};
  if (encoder === undefined) {
    throw new UserError(
      `There is no encoder for ${chosen} clips: run "npm i node-av", install ffmpeg, or choose webp.`,
    );
  }
  const container = chosen;
  return {codec: chosen, encode: (frames, fps) => encoder.encode(frames, {container, fps, purpose: 'training'})};
}

/** Near-lossless: 48.5 dB on 64x64 talking faces, where lossy WebP (4:2:0) stays under 40 dB at any quality. */
async function webpFrames(frames: Frames, fps: number): Promise<Uint8Array> {
  const [count, height, width] = checkFrames(frames, {fps});
  const sharp = await loadSharp();
  const delay = Array.from({length: count}, () => Math.max(1, Math.round(1000 / fps)));
  return sharp(frames.data, {raw: {width, height: height * count, channels: 3, pageHeight: height}})
    .webp({nearLossless: true, quality: 60, effort: 2, delay, loop: 0, minSize: false})
    .toBuffer();
}
