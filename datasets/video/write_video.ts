// Frames to a file a person looks at: mp4, webm, webp, gif or a folder of PNGs, chosen by the path's ending. A file appears
// whole or not at all, and never in place of an earlier one.
import {link, mkdir, rename, rm, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {UserError} from '../../src/platform/user_error.ts';
import {loadSharp} from '../image_library.ts';
import {gifWithComment, pngWithText, xmp} from './comments.ts';
import {checkFrames, type Frames, openVideoEncoder, type VideoContainer, type VideoEncoder} from './video_encoder.ts';
import type {VideoEngine} from './video_reader.ts';

export interface WriteVideoOptions {
  videoEngine?: VideoEngine | 'auto';
  /** Encoder for mp4 and webm: found by `videoEngine` when undefined, none when null. */
  encoder?: VideoEncoder | null;
  /** Text stored in the file (in every frame's, for PNG): the comment tag of mp4 and webm, XMP, GIF's comment, PNG's text. */
  comment?: string;
  /** Told when something else than asked for was written. Default: a warning of the process. */
  onNote?: (note: string) => void;
}

type Writer = (file: string, frames: Frames, fps: number, options: WriteVideoOptions) => Promise<string>;

const writers = {
  mp4: (file, frames, fps, options) => encoded(file, frames, fps, 'mp4', options),
  webm: (file, frames, fps, options) => encoded(file, frames, fps, 'webm', options),
  webp: async (file, frames, fps, {comment}) => {
    const {image, timing} = await animation(frames, fps);
    const described = comment === undefined ? image : image.withXmp(xmp(comment));
    return writeNew(file, await described.webp({quality: 90, effort: 2, ...timing}).toBuffer());
  },
  // Effort 1: at the default one 16 frames of 512x320 take 5 s.
  gif: async (file, frames, fps, {comment}) => {
    const {image, timing} = await animation(frames, fps);
    const bytes = await image.gif({effort: 1, ...timing}).toBuffer();
    return writeNew(file, comment === undefined ? bytes : gifWithComment(bytes, comment));
  },
  png: (file, frames, _fps, {comment}) => pngFrames(file, frames, comment),
} satisfies Record<string, Writer>;

/**
 * Writes RGB frames [T,H,W,3] at `fps` and returns the path that was written, which differs from `file` in two cases, both
 * told through `onNote`: `file` was there already (a number is added), or mp4/webm has no encoder here (webp is written).
 * `clip.png` becomes a folder `clip` of `0000.png`, `0001.png`, ...
 * @throws UserError for an ending that is not mp4, webm, webp, gif or png.
 */
export async function writeVideo(
  file: string,
  frames: Frames,
  fps: number,
  options: WriteVideoOptions = {},
): Promise<string> {
  checkFrames(frames, {fps});
  const ending = path.extname(file).slice(1).toLowerCase();
  const write = Object.entries(writers).find(([name]) => name === ending)?.[1];
  if (write === undefined) {
    throw new UserError(
      `A video cannot be written as "${file}": the name must end in .${Object.keys(writers).join(', .')}.`,
    );
  }
  const note = options.onNote ?? ((text: string) => process.emitWarning(text));
  await mkdir(path.dirname(file), {recursive: true});
  const written = await write(file, frames, fps, {...options, onNote: note});
  if (written !== file && path.extname(written) === path.extname(file)) {
    note(`${file} is there already; the video was written to ${written}.`);
  }
  return written;
}

async function encoded(
  file: string,
  frames: Frames,
  fps: number,
  container: VideoContainer,
  options: WriteVideoOptions,
): Promise<string> {
  const encoder = options.encoder === undefined ? await openVideoEncoder(options.videoEngine) : options.encoder;
  if (encoder === undefined || encoder === null) {
    const other = `${file.slice(0, -path.extname(file).length)}.webp`;
    const written = await writers.webp(other, frames, fps, options);
    options.onNote?.(
      `There is no ${container} encoder here (npm i node-av, or install ffmpeg): ${written} was written instead of ${file}.`,
    );
    return written;
  }
  return writeNew(
    file,
    await encoder.encode(frames, {
      container,
      fps,
      purpose: 'preview',
      ...(options.comment === undefined ? {} : {comment: options.comment}),
    }),
  );
}

/** Sharp's input for an animation: the frames one below the other. */
async function animation({data, shape: [count, height, width]}: Frames, fps: number) {
  const delay = Array.from({length: count}, () => Math.max(10, Math.round(1000 / fps)));
  const raw = {width, height: height * count, channels: 3, pageHeight: height} as const;
  const sharp = await loadSharp();
  return {image: sharp(data, {raw}), timing: {delay, loop: 0}};
}

async function pngFrames(
  file: string,
  {data, shape: [count, height, width]}: Frames,
  comment: string | undefined,
): Promise<string> {
  const folder = file.slice(0, -'.png'.length);
  const temporary = `${folder}.${process.pid}.tmp`;
  await rm(temporary, {recursive: true, force: true});
  await mkdir(temporary, {recursive: true});
  const size = height * width * 3;
  const sharp = await loadSharp();
  for (let n = 0; n < count; n++) {
    const frame = data.subarray(n * size, (n + 1) * size);
    const bytes = await sharp(frame, {raw: {width, height, channels: 3}})
      .png()
      .toBuffer();
    const described = comment === undefined ? bytes : pngWithText(bytes, comment);
    await writeFile(path.join(temporary, `${String(n).padStart(4, '0')}.png`), described);
  }
  for (let n = 0; ; n++) {
    const name = n === 0 ? folder : `${folder}-${n}`;
    if (await exists(name)) continue;
    await rename(temporary, name);
    return name;
  }
}

/** Writes under a temporary name and links it to `file`, or to `file` with a number when that is taken. */
export async function writeNew(file: string, bytes: Uint8Array): Promise<string> {
  const temporary = `${file}.${process.pid}.tmp`;
  const ending = path.extname(file);
  try {
    await writeFile(temporary, bytes, {flush: true});
    for (let n = 0; ; n++) {
      const name = n === 0 ? file : `${file.slice(0, -ending.length)}-${n}${ending}`;
      try {
        await link(temporary, name); // fails where rename would replace
        return name;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  } finally {
    await rm(temporary, {force: true});
  }
}

async function exists(name: string): Promise<boolean> {
  return stat(name).then(
    () => true,
    () => false,
  );
}
