// Attention along time: every pixel attends over its own T frames (Video LDM, section 3.1: batch and space are one axis).
// Kernels TemporalAttention and TemporalAttentionGrad work on [B, T, P, C] as it lies, without transposing.
import * as tf from '../tf.ts';
import {attend, attendGradient, MASKED} from './attention_core.ts';
import {fusedOp, hasKernel, runFused, together} from './fused.ts';
import type {TemporalAttentionAttrs} from './kernel_contracts.ts';

export interface TemporalAttentionOptions {
  heads: number;
  /** Frames i and j see each other where |i - j| <= window; absent: all do. 0: every frame sees itself only. */
  window?: number;
}

/** q, k, v [B, T, P, heads*d] -> the same shape. */
export function temporalAttention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  {heads, window}: TemporalAttentionOptions,
): tf.Tensor4D {
  const alike = [k, v].every(x => tf.util.arraysEqual(x.shape, q.shape));
  if (q.rank !== 4 || !alike || q.shape[3]! % heads !== 0) {
    throw new Error(
      `temporalAttention: ${heads} heads over three [B, T, P, C], got [${q.shape}], [${k.shape}], [${v.shape}].`,
    );
  }
  return run([q, k, v], window === undefined ? {heads} : {heads, window}) as tf.Tensor4D;
}

const run = fusedOp<TemporalAttentionAttrs>({
  name: 'temporalAttention',
  kernel: 'TemporalAttention',
  saveInputs: [0, 1, 2],
  saveOutputs: [true, true],
  plain([q, k, v], {heads, window}) {
    const frames = q!.shape[1]!;
    const mask = window === undefined || window >= frames - 1 ? undefined : windowMask(frames, window);
    const {y, p} = attend(split(q!, heads), split(k!, heads), split(v!, heads), mask);
    return [merge(y, q!.shape), p];
  },
  gradient({dy, inputs, outputs: [y, saved], attrs}) {
    return together(() => {
      if (hasKernel('TemporalAttentionGrad')) {
        return runFused('TemporalAttentionGrad', [dy, y!, saved!, ...inputs], attrs);
      }
      const [q, k, v] = inputs.map(x => split(x, attrs.heads)) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
      return attendGradient(split(dy, attrs.heads), saved as tf.Tensor4D, q, k, v).map(x => merge(x, dy.shape));
    }, 3);
  },
});

/** [B, T, P, h*d] -> [B*P, h, T, d] */
function split(x: tf.Tensor, heads: number): tf.Tensor4D {
  const [b, t, p, c] = x.shape as [number, number, number, number];
  const parts = tf.transpose(tf.reshape(x, [b, t, p, heads, c / heads]), [0, 2, 3, 1, 4]);
  return tf.reshape(parts, [b * p, heads, t, c / heads]);
}

/** [B*P, h, T, d] -> shape [B, T, P, h*d] */
function merge(x: tf.Tensor4D, shape: readonly number[]): tf.Tensor {
  const [b, t, p, c] = shape as [number, number, number, number];
  const [, h, , d] = x.shape;
  return tf.reshape(tf.transpose(tf.reshape(x, [b, p, h, t, d]), [0, 3, 1, 2, 4]), [b, t, p, c]);
}

function windowMask(frames: number, window: number): tf.Tensor {
  const values = new Float32Array(frames * frames);
  for (let i = 0; i < frames; i++) {
    for (let j = 0; j < frames; j++) if (Math.abs(i - j) > window) values[i * frames + j] = MASKED;
  }
  return tf.tensor(values, [1, 1, frames, frames]);
}
