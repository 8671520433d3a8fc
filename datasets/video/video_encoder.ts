// The one interface to video encoding: RGB frames in, the bytes of an mp4 or webm file out, by node-av or by ffmpeg.
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {UserError} from '../../src/platform/user_error.ts';
import {runChild, startChild} from './child.ts';
import {type VideoEngine, videoEngines} from './video_reader.ts';

/** uint8 RGB [T,H,W,3]. */
export interface Frames {
  data: Uint8Array;
  shape: readonly [frames: number, height: number, width: number, channels: 3];
}

export type VideoContainer = 'mp4' | 'webm';

export interface EncodeOptions {
  container: VideoContainer;
  fps: number;
  /** `preview` plays everywhere (4:2:0, small); `training` keeps what a model should see (H.264 4:4:4, crf 8). */
  purpose: 'preview' | 'training';
  /** The file's comment tag. */
  comment?: string;
}

export interface VideoEncoder {
  readonly name: VideoEngine;
  encode(frames: Frames, options: EncodeOptions): Promise<Uint8Array>;
}

/** What an encoder is told, the same for both engines. */
export interface Encoding {
  codec: 'libx264' | 'libvpx-vp9';
  /** FFmpeg filters from RGB24 to the encoder's pixel format. */
  filters: string;
  /** The encoder's private options. */
  options: Record<string, string>;
  /** Frames between key frames. */
  gop: number;
  muxer: Record<string, string>;
}

/**
 * Training clips are 4:4:4, because halved chroma leaves 32x32 colours of 64x64, at crf 8: measured on 8 talking-face
 * frames of 64x64, 45.1 dB in 7.4 kB (4:2:0 at crf 16: 39.5 dB; near-lossless WebP: 48.5 dB in 26 kB). No B-frames and
 * a key frame every 16 frames, so that a random start decodes few frames.
 */
export function encodingOf({container, purpose}: EncodeOptions): Encoding {
  // BT.601 limited range is what an untagged small file is taken for; odd sizes are padded where chroma is halved.
  const even = 'pad=ceil(iw/2)*2:ceil(ih/2)*2';
  const color = 'scale=out_color_matrix=bt601:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+bitexact';
  if (container === 'webm') {
    const options = {
      crf: purpose === 'training' ? '10' : '24',
      b: '0',
      deadline: 'good',
      'cpu-used': '4',
      'row-mt': '0',
    };
    const format = purpose === 'training' ? 'yuv444p' : 'yuv420p';
    return {codec: 'libvpx-vp9', filters: `${even},${color},format=${format}`, options, gop: 32, muxer: {}};
  }
  if (purpose === 'training') {
    // cpu-independent: without it 7 of 1,080 clips encoded in four threads on a loaded machine had other bytes, with it none of 1,800.
    const options = {crf: '8', preset: 'medium', tune: 'fastdecode', 'x264-params': 'cpu-independent=1'};
    return {codec: 'libx264', filters: `${color},format=yuv444p`, options, gop: 16, muxer: {movflags: '+faststart'}};
  }
  const options = {crf: '16', preset: 'medium', 'x264-params': 'cpu-independent=1'};
  return {
    codec: 'libx264',
    filters: `${even},${color},format=yuv420p`,
    options,
    gop: 32,
    muxer: {movflags: '+faststart'},
  };
}

/**
 * The best encoder that works here, or the one asked for; undefined when there is none.
 * @throws UserError only when one was asked for by name.
 */
export async function openVideoEncoder(engine: VideoEngine | 'auto' = 'auto'): Promise<VideoEncoder | undefined> {
  for (const name of engine === 'auto' ? videoEngines : [engine]) {
    try {
      return await loaders[name]();
    } catch (error) {
      if (engine === 'auto') continue;
      throw new UserError(
        `The video encoder ${name} does not work here: ${error instanceof Error ? error.message : error}.`,
      );
    }
  }
  return undefined;
}

const loaders = {
  'node-av': async () => (await import('./node_av_encoder.ts')).nodeAvEncoder(),
  ffmpeg: () => ffmpegEncoder(),
} satisfies Record<VideoEngine, () => Promise<VideoEncoder>>;

async function ffmpegEncoder(program = 'ffmpeg'): Promise<VideoEncoder> {
  const known = await runChild(program, ['-hide_banner', '-encoders'], 30_000);
  if (!known.includes('libx264')) throw new Error('this ffmpeg has no libx264 encoder');
  return {
    name: 'ffmpeg',
    encode: (frames, options) =>
      inScratchFile(options.container, async file => {
        const {codec, filters, options: own, gop, muxer} = encodingOf(options);
        const [, height, width] = checkFrames(frames, options);
        const flags = Object.entries({...own, ...muxer}).flatMap(([key, value]) => [`-${key}`, value]);
        const running = startChild(program, [
          ...['-nostdin', '-v', 'error', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${width}x${height}`],
          ...['-framerate', String(options.fps), '-i', 'pipe:0', '-vf', filters, '-c:v', codec, ...flags],
          ...[
            '-g',
            String(gop),
            '-bf',
            '0',
            '-threads',
            '1',
            '-fflags',
            '+bitexact',
            '-flags:v',
            '+bitexact',
            ...(options.comment === undefined ? [] : ['-metadata', `comment=${options.comment}`]),
            '-y',
            file,
          ],
        ]);
        running.child.stdout?.resume();
        running.child.stdin?.end(frames.data);
        const {code, words} = await running.ended;
        if (code !== 0)
          throw new Error(`ffmpeg could not encode ${width}x${height} frames to ${options.container}: ${words}`);
      }),
  };
}

/** Gives `write` a file name and returns what it wrote there: muxers seek back, so they want a file. */
export async function inScratchFile(
  container: VideoContainer,
  write: (file: string) => Promise<void> | void,
): Promise<Uint8Array> {
  const folder = mkdtempSync(path.join(tmpdir(), 'video-ldm-'));
  try {
    const file = path.join(folder, `clip.${container}`);
    await write(file);
    return readFileSync(file);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** @throws RangeError when the data are not as large as the shape says. */
export function checkFrames(frames: Frames, {fps}: {fps: number}): Frames['shape'] {
  const [count, height, width] = frames.shape;
  if (count < 1 || height < 1 || width < 1 || frames.data.byteLength !== count * height * width * 3) {
    throw new RangeError(`Frames of shape [${frames.shape}] cannot have ${frames.data.byteLength} bytes.`);
  }
  if (!(fps > 0) || fps > 1000) throw new RangeError(`${fps} is not a frame rate.`);
  return frames.shape;
}
