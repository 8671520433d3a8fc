// Patches of training clips, cut before anything is computed: the network that learns from them runs on larger frames.
import type {VideoBatch} from '../../datasets/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {integers} from '../../src/random/index.ts';
import {placeOf, type StepRandom} from './latents.ts';

/**
 * The same window of every frame of a clip, for each clip its own, from pixels that are multiples of `grid`, so that patches
 * of the low-resolution video lie on whole pixels. Boxes are not moved: an upsampler is told none.
 */
export function cutPatches(
  batch: VideoBatch,
  [height, width]: readonly [number, number],
  grid: number,
  random: StepRandom,
): VideoBatch {
  const [b, t, h, w] = batch.shape;
  if (batch.latents)
    throw new UserError('The shards hold latents, but patches are cut from pixels: name shards of videos or images.');
  const places = [h - height, w - width].map(room => Math.floor(room / grid) + 1);
  const drawn = integers(placeOf('patch', random), 2 * b, 2 ** 24);
  const frames = new Uint8Array(b * t * height * width * 3);
  const row = width * 3;
  for (let clip = 0, to = 0; clip < b; clip++) {
    const [top = 0, left = 0] = [0, 1].map(axis => grid * (drawn[2 * clip + axis]! % places[axis]!));
    for (let frame = 0; frame < t; frame++) {
      for (let y = 0; y < height; y++, to += row) {
        const from = (((clip * t + frame) * h + top + y) * w + left) * 3;
        frames.set(batch.frames.subarray(from, from + row), to);
      }
    }
  }
  return {...batch, frames, shape: [b, t, height, width, 3]};
}
