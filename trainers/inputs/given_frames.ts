// Given frames in training: which frames of a clip a model of prediction or interpolation is told, and how they reach it:
// c_S = (mask x latents, mask) (Video LDM, "Prediction Models for Long-Term Generation").
import type {ClipBox, VideoBatch} from '../../datasets/index.ts';
import {uniforms} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {placeOf, type StepRandom} from './latents.ts';

/** (mask x latents, mask) [B,T,h,w,C+1] of latents [B,T,h,w,C]; `given` says of each of the B x T frames whether it is given. */
export function contextOf(latents: tf.Tensor, given: readonly boolean[]): tf.Tensor5D {
  const [b = 1, t = 1, h = 1, w = 1] = latents.shape;
  return tf.tidy(() => {
    const mask = tf.tensor(Float32Array.from(given, Number), [b, t, 1, 1, 1]);
    return tf.concat([tf.mul(latents, mask), tf.tile(mask, [1, 1, h, w, 1])], 4) as tf.Tensor5D;
  });
}

/** The mask of a clip's first `s` frames. */
export function firstFrames(s: number, frames: number): boolean[] {
  return Array.from({length: frames}, (_, t) => t < s);
}

/** The mask of a clip's key frames, every fourth from the first on. */
export function keyFrames(frames: number): boolean[] {
  return Array.from({length: frames}, (_, t) => t % 4 === 0);
}

/** Numbers in [0,1) that decide of each of `count` samples what is given: two a sample. */
export function contextDraws(count: number, random: StepRandom): {first: number; second: number}[] {
  const draws = uniforms(placeOf('contextFrames', random), 2 * count);
  return Array.from({length: count}, (_, i) => ({first: draws[2 * i]!, second: draws[2 * i + 1]!}));
}

/** Which of the shares (which add up to 1) `draw` falls into. */
export function drawn(shares: readonly number[], draw: number): number {
  let sum = 0;
  for (const [index, share] of shares.entries()) {
    sum += share;
    if (draw < sum) return index;
  }
  return shares.length - 1;
}

/** The frames of each sample of a batch that `indices` names, as a batch of shorter clips; `slowed` by so many times. */
export function selectFrames(
  batch: VideoBatch,
  indices: readonly (readonly number[])[],
  slowed: readonly number[],
): VideoBatch {
  const [b, t, height, width] = batch.shape;
  const frames = indices[0]?.length ?? 0;
  const pick = <A extends Uint8Array | Float32Array>(from: A, size: number, into: A): A => {
    for (let i = 0; i < b; i++) {
      for (const [n, index] of indices[i]!.entries()) {
        const at = (i * t + index) * size;
        into.set(from.subarray(at, at + size), (i * frames + n) * size);
      }
    }
    return into;
  };
  const {latents} = batch;
  const moved = (boxes: readonly ClipBox[], own: readonly number[]) =>
    boxes.flatMap(box => {
      const frame = own.indexOf(box.frame);
      return frame < 0 ? [] : [{...box, frame}];
    });
  const pixels = height * width * 3;
  const selected: VideoBatch = {
    ...batch,
    frames: latents ? batch.frames : pick(batch.frames, pixels, new Uint8Array(b * frames * pixels)),
    shape: [b, frames, height, width, 3],
    fps: batch.fps.map((fps, i) => fps / (slowed[i] ?? 1)),
    boxes: batch.boxes.map((boxes, i) => moved(boxes, indices[i]!)),
  };
  if (!latents) return selected;
  const [, , h, w, c] = latents.shape;
  const values = (from: Float32Array) => pick(from, h * w * c, new Float32Array(b * frames * h * w * c));
  return {
    ...selected,
    latents: {mean: values(latents.mean), logvar: values(latents.logvar), shape: [b, frames, h, w, c]},
  };
}
