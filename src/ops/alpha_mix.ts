// The learned mix of a spatial layer's output with the temporal layer's after it (Video LDM, section 3.1, alpha in [0, 1]).
// Kernels AlphaMix and AlphaMixGrad.
import * as tf from '../tf.ts';
import {fusedOp, hasKernel, runFused, together} from './fused.ts';
import {needs} from './needed.ts';

/**
 * spatial * a + temporal * (1 - a), a = sigmoid(mixFactor), or 1 - sigmoid(mixFactor) with `switched`.
 * spatial, temporal [B, T, ...]; mixFactor of one element, or [T] for an alpha per frame.
 */
export function alphaMix<X extends tf.Tensor>(
  spatial: X,
  temporal: tf.Tensor,
  mixFactor: tf.Tensor,
  {switched = false}: {switched?: boolean} = {},
): X {
  if (!tf.util.arraysEqual(spatial.shape, temporal.shape)) {
    throw new Error(`alphaMix: spatial [${spatial.shape}] and temporal [${temporal.shape}] must be alike.`);
  }
  if (mixFactor.size !== 1 && mixFactor.size !== spatial.shape[1]) {
    throw new Error(
      `alphaMix: the mix factor is one number or one per frame of [${spatial.shape}], got [${mixFactor.shape}].`,
    );
  }
  // The kernel's contract: no axis, or one of T.
  const factor = mixFactor.size === 1 && mixFactor.rank > 0 ? tf.reshape(mixFactor, []) : mixFactor;
  return run([spatial, temporal, factor], {switched}) as X;
}

const run = fusedOp<{switched: boolean}>({
  name: 'alphaMix',
  kernel: 'AlphaMix',
  saveInputs: [0, 1, 2],
  saveOutputs: [false],
  cheap: true,
  plain([spatial, temporal, mixFactor], {switched}) {
    const [a, rest] = weights(mixFactor!, spatial!.rank, switched);
    return [tf.add(tf.mul(spatial!, a), tf.mul(temporal!, rest))];
  },
  gradient({dy, inputs: [spatial, temporal, mixFactor], attrs: {switched}}) {
    return together(() => {
      if (hasKernel('AlphaMixGrad')) {
        return runFused('AlphaMixGrad', [dy, spatial!, temporal!, mixFactor!], {switched, mixFactor: needs(2)});
      }
      const [a, rest] = weights(mixFactor!, dy.rank, switched);
      const axes = Array.from({length: dy.rank}, (_, i) => i).filter(i => i !== 1 || mixFactor!.size === 1);
      const along = tf.sum(tf.mul(dy, tf.sub(spatial!, temporal!)), axes);
      const slope = tf.mul(tf.reshape(tf.mul(a, rest), along.shape), switched ? -1 : 1);
      return [tf.mul(dy, a), tf.mul(dy, rest), tf.reshape(tf.mul(along, slope), mixFactor!.shape)];
    }, 3);
  },
});

/** a and 1 - a, shaped to broadcast over [B, T, ...]. */
function weights(mixFactor: tf.Tensor, rank: number, switched: boolean): [tf.Tensor, tf.Tensor] {
  const perFrame = mixFactor.size === 1 ? [] : [mixFactor.size, ...Array.from({length: rank - 2}, () => 1)];
  const s = tf.reshape(tf.sigmoid(mixFactor), perFrame);
  const rest = tf.sub(1, s);
  return switched ? [rest, s] : [s, rest];
}
