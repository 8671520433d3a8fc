// The one interface to video decoding: open a file or bytes, know its size and duration, get RGB frames at wanted times.
// Two engines stand behind it: node-av (FFmpeg in the process, fast) and an ffmpeg child process (runs wherever ffmpeg is).
import {UserError} from '../../src/platform/user_error.ts';

/** A path, or the file's bytes. */
export type VideoSource = string | Uint8Array;

/** What a container says about its first video stream, checked against `VideoLimits`. */
export interface VideoInfo {
  /** Pixels, after rotation by the container's display matrix. */
  width: number;
  height: number;
  /** Degrees clockwise that decoded frames must be turned: 0, 90, 180 or 270. */
  rotation: number;
  /** Average frames per second. */
  fps: number;
  /** Seconds. */
  duration: number;
  /** Number of frames, where the container says it. */
  frames: number | undefined;
  codec: string;
}

/** In source pixels, after rotation. */
export interface Crop {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface FramesRequest {
  /** Seconds after the first frame. */
  start: number;
  /** Frames per second wanted: frame n is the one on display at `start + n / fps` (held, never blended). */
  fps: number;
  /** Number of frames wanted; until the end of the video when undefined. */
  frames?: number;
  /** Size of the frames that come out, pixels. */
  width: number;
  height: number;
  /** Part of the source that is scaled to width x height; by default the largest centred one of that aspect. */
  crop?: Crop;
}

export interface OpenVideo {
  readonly info: VideoInfo;
  /**
   * Writes RGB frames [T,H,W,3] into `into`, which must have exactly that size.
   * @throws BadSample `tooShort` or `truncated` when the video ends first.
   */
  clip(request: FramesRequest & {frames: number}, into: Uint8Array): Promise<void>;
  /** RGB frames [H,W,3] one after another; each is the caller's to keep. Ends with the video. */
  frames(request: FramesRequest): AsyncGenerator<Uint8Array>;
  close(): void;
}

export interface VideoReader {
  readonly name: VideoEngine;
  /** The FFmpeg version behind it. */
  readonly version: string;
  /** @throws BadSample when the source is not a video within the limits. */
  open(source: VideoSource, limits?: Partial<VideoLimits>): Promise<OpenVideo>;
}

export const videoEngines = ['node-av', 'ffmpeg'] as const;
export type VideoEngine = (typeof videoEngines)[number];

/** Bounds checked before anything is allocated or decoded. */
export interface VideoLimits {
  /** Bytes of a source given as bytes. */
  maxBytes: number;
  /** Width or height, pixels. */
  maxSide: number;
  /** Seconds. */
  maxDuration: number;
  maxFps: number;
  /** Milliseconds that opening or one clip may take (ffmpeg engine; node-av is watched by the decode pool). */
  timeoutMs: number;
}

export const defaultLimits: VideoLimits = {
  maxBytes: 4 * 2 ** 30,
  maxSide: 16_384,
  maxDuration: 48 * 3600,
  maxFps: 1000,
  timeoutMs: 120_000,
};

/** Containers that are tried. Playlists and concatenations are not among them: they make a reader open other files. */
export const containers = 'mov,matroska,avi,mpegts,mpeg,ogg,flv,asf,gif,mpegvideo,h264,hevc,ivf';

/**
 * The best video engine that works here: node-av, else ffmpeg, or the one asked for.
 * @throws UserError that says what to install.
 */
export async function openVideoReader(engine: VideoEngine | 'auto' = 'auto'): Promise<VideoReader> {
  const why: string[] = [];
  for (const name of engine === 'auto' ? videoEngines : [engine]) {
    try {
      return await loaders[name]();
    } catch (error) {
      why.push(`${name}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`);
    }
  }
  throw new UserError(
    `No video decoder is there (${why.join('; ')}): run "npm i node-av" (fast; its binary is GPL), or install ffmpeg and have it on the PATH.`,
  );
}

const loaders = {
  'node-av': async () => (await import('./node_av_reader.ts')).nodeAvReader(),
  ffmpeg: async () => (await import('./ffmpeg_reader.ts')).ffmpegReader(),
} satisfies Record<VideoEngine, () => Promise<VideoReader>>;
