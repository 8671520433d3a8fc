// TemporalAttention and TemporalAttentionGrad on [B, T, P, C] as it lies: T is short, so the scores of a pixel fit in a few
// hundred numbers and nothing is transposed. `saved` is the probabilities, [B, P, heads, T, T].
import type {TemporalAttentionAttrs} from '../../ops/kernel_contracts.ts';
import type * as tf from '../../tf.ts';
import {floats, output, supplyFused} from './heap.ts';

type Views = [
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
];

/** Calls `each` with the first element of every (clip, pixel, head) and its place in the probabilities. */
function eachHead(shape: readonly number[], heads: number, each: (start: number, probabilities: number) => void): void {
  const [clips, frames, pixels, channels] = shape as [number, number, number, number];
  const depth = channels / heads;
  let place = 0;
  for (let b = 0; b < clips; b++) {
    for (let p = 0; p < pixels; p++) {
      for (let h = 0; h < heads; h++, place += frames * frames) {
        each((b * frames * pixels + p) * channels + h * depth, place);
      }
    }
  }
}

export function supplyTemporalAttention(): void {
  supplyFused<TemporalAttentionAttrs>('TemporalAttention', (backend, [q, k, v], {heads, window}) => {
    const [clips, frames, pixels, channels] = q!.shape as [number, number, number, number];
    const [depth, stride, reach] = [channels / heads, pixels * channels, window ?? frames];
    const scale = 1 / Math.sqrt(depth);
    const y = output(backend, q!.shape);
    const saved = output(backend, [clips, pixels, heads, frames, frames]);
    const [qs, ks, vs, to, ps] = [q!, k!, v!, y, saved].map(info => floats(backend, info)) as Views;
    to.fill(0);
    eachHead(q!.shape, heads, (start, place) => {
      for (let i = 0; i < frames; i++) {
        const row = place + i * frames;
        const qi = start + i * stride;
        const [low, high] = [Math.max(0, i - reach), Math.min(frames - 1, i + reach)];
        let largest = Number.NEGATIVE_INFINITY;
        for (let j = low; j <= high; j++) {
          const kj = start + j * stride;
          let dot = 0;
          for (let d = 0; d < depth; d++) dot += qs[qi + d]! * ks[kj + d]!;
          ps[row + j] = dot * scale;
          largest = Math.max(largest, ps[row + j]!);
        }
        let total = 0;
        for (let j = 0; j < frames; j++) {
          const e = j < low || j > high ? 0 : Math.exp(ps[row + j]! - largest);
          ps[row + j] = e;
          total += e;
        }
        for (let j = 0; j < frames; j++) ps[row + j]! /= total;
        for (let j = low; j <= high; j++) {
          const [p, vj] = [ps[row + j]!, start + j * stride];
          for (let d = 0; d < depth; d++) to[qi + d]! += p * vs[vj + d]!;
        }
      }
    });
    return [y, saved];
  });

  supplyFused<TemporalAttentionAttrs>('TemporalAttentionGrad', (backend, inputs, {heads, window}) => {
    const [dy, , saved, q, k, v] = inputs as [tf.TensorInfo, tf.TensorInfo, ...tf.TensorInfo[]];
    const [, frames, pixels, channels] = dy.shape as [number, number, number, number];
    const [depth, stride, reach] = [channels / heads, pixels * channels, window ?? frames];
    const scale = 1 / Math.sqrt(depth);
    const gradients = [output(backend, dy.shape), output(backend, dy.shape), output(backend, dy.shape)];
    const views = [dy, saved!, q!, k!, v!, ...gradients].map(info => floats(backend, info)) as Views;
    const [dys, ps, qs, ks, vs, dqs, dks, dvs] = views;
    for (const view of [dqs, dks, dvs]) view.fill(0);
    const dp = new Float64Array(frames);
    eachHead(dy.shape, heads, (start, place) => {
      for (let i = 0; i < frames; i++) {
        const row = place + i * frames;
        const qi = start + i * stride;
        const [low, high] = [Math.max(0, i - reach), Math.min(frames - 1, i + reach)];
        let along = 0;
        for (let j = low; j <= high; j++) {
          const [p, vj] = [ps[row + j]!, start + j * stride];
          let dot = 0;
          for (let d = 0; d < depth; d++) {
            dot += dys[qi + d]! * vs[vj + d]!;
            dvs[vj + d]! += p * dys[qi + d]!;
          }
          dp[j] = dot;
          along += dot * p;
        }
        for (let j = low; j <= high; j++) {
          const ds = ps[row + j]! * (dp[j]! - along) * scale;
          const kj = start + j * stride;
          for (let d = 0; d < depth; d++) {
            dqs[qi + d]! += ds * ks[kj + d]!;
            dks[kj + d]! += ds * qs[qi + d]!;
          }
        }
      }
    });
    return gradients;
  });
}
