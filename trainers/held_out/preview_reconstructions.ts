// Reconstructions of the held-out clips while training.
import type {Frames, VideoBatch} from '../../datasets/index.ts';
import {type AutoencoderKL, pixelsToFrames} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {encodeBatch} from '../inputs/latents.ts';
import {previewFiles} from './preview_files.ts';

/** Each clip above its reconstruction in the contact sheet and, with `fps`, a video of each. Returns the files. */
export async function previewReconstructions(
  autoencoder: AutoencoderKL,
  clips: readonly VideoBatch[],
  at: {folder: string; step: number; fps?: number | undefined},
): Promise<string[]> {
  const rows: Frames[] = [];
  for (const clip of clips) {
    const [, t, h, w] = clip.shape;
    const frames = tf.tidy(() => pixelsToFrames(autoencoder.decode(encodeBatch(autoencoder, 1, clip))));
    rows.push(
      {data: clip.frames, shape: [t, h, w, 3]},
      {data: Uint8Array.from(await frames.data()), shape: [t, h, w, 3]},
    );
    frames.dispose();
  }
  return previewFiles(at.folder, at.step, rows, at.fps);
}
