// Multi-head scaled dot-product attention, self or cross (Vaswani et al. 2017, equation 1).
// Kernels ScaledDotProductAttention and ScaledDotProductAttentionGrad.
import * as tf from '../tf.ts';
import {attend, attendGradient, MASKED} from './attention_core.ts';
import {fusedOp, hasKernel, runFused, together} from './fused.ts';
import type {AttentionAttrs} from './kernel_contracts.ts';

export interface AttentionOptions {
  heads: number;
  /** Each axis 1 or that of [N, heads, L, M]. bool: true is attended; float32: added to the scores. No gradient. */
  mask?: tf.Tensor;
  /** Query i sees keys 0..i only. */
  causal?: boolean;
}

/** q [N, L, heads*d], k, v [N, M, heads*d] -> [N, L, heads*d]: softmax(q k / sqrt d) v per head. */
export function attention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  {heads, mask, causal = false}: AttentionOptions,
): tf.Tensor3D {
  if (q.rank !== 3 || k.rank !== 3 || q.shape[2]! % heads !== 0 || q.shape[2] !== k.shape[2]) {
    throw new Error(
      `attention: ${heads} heads over q [N, L, C] and k, v [N, M, C], got [${q.shape}] and [${k.shape}].`,
    );
  }
  if (mask === undefined) return run([q, k, v], {heads, causal}) as tf.Tensor3D;
  return run([q, k, v, additive(mask)], {heads, causal}) as tf.Tensor3D;
}

function additive(mask: tf.Tensor): tf.Tensor {
  const shape = [...Array.from({length: 4 - mask.rank}, () => 1), ...mask.shape];
  const values = mask.dtype === 'bool' ? tf.mul(tf.sub(1, tf.cast(mask, 'float32')), MASKED) : mask;
  return tf.reshape(values, shape);
}

const run = fusedOp<AttentionAttrs>({
  name: 'attention',
  kernel: 'ScaledDotProductAttention',
  saveInputs: 'all',
  saveOutputs: [true, true],
  plain([q, k, v, mask], {heads, causal}) {
    const [l, m] = [q!.shape[1]!, k!.shape[1]!];
    const masks = [...(mask ? [mask] : []), ...(causal ? [causalMask(l, m)] : [])];
    const total = masks.length === 2 ? tf.add(masks[0]!, masks[1]!) : masks[0];
    const {y, p} = attend(split(q!, heads), split(k!, heads), split(v!, heads), total);
    return [merge(y), p];
  },
  gradient({dy, inputs, outputs: [y, saved], attrs}) {
    return together(() => {
      if (hasKernel('ScaledDotProductAttentionGrad')) {
        return runFused('ScaledDotProductAttentionGrad', [dy, y!, saved!, ...inputs], attrs);
      }
      const [q, k, v] = inputs.slice(0, 3).map(x => split(x, attrs.heads)) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
      return attendGradient(split(dy, attrs.heads), saved as tf.Tensor4D, q, k, v).map(merge);
    }, 3);
  },
});

/** [N, L, h*d] -> [N, h, L, d] */
function split(x: tf.Tensor, heads: number): tf.Tensor4D {
  const [n, l, c] = x.shape as [number, number, number];
  return tf.transpose(tf.reshape(x, [n, l, heads, c / heads]), [0, 2, 1, 3]);
}

/** [N, h, L, d] -> [N, L, h*d] */
function merge(x: tf.Tensor4D): tf.Tensor {
  const [n, h, l, d] = x.shape;
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [n, l, h * d]);
}

function causalMask(l: number, m: number): tf.Tensor {
  const values = new Float32Array(l * m);
  for (let i = 0; i < l; i++) values.fill(MASKED, i * m + Math.min(i + 1, m), (i + 1) * m);
  return tf.tensor(values, [1, 1, l, m]);
}
