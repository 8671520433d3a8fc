// Layer normalisation (Ba et al. 2016) over the last axis. Kernels FusedLayerNorm and FusedLayerNormGrad.
import * as tf from '../tf.ts';
import {columnSum} from './column_sum.ts';
import {fusedOp, hasKernel, runFused, together} from './fused.ts';
import {needs, takeGradientSoFar} from './needed.ts';

/** x [..., C], gamma, beta [C]. */
export function layerNorm<X extends tf.Tensor>(
  x: X,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  {epsilon}: {epsilon: number},
): X {
  return run([x, gamma, beta], {epsilon}) as X;
}

const run = fusedOp<{epsilon: number}>({
  name: 'layerNorm',
  kernel: 'FusedLayerNorm',
  saveInputs: [0, 1, 2],
  saveOutputs: [false, true],
  cheap: true, // with its statistics: they cost no second read of x from memory
  plain([x, gamma, beta], {epsilon}) {
    const rows = tf.reshape(x!, [-1, x!.shape[x!.rank - 1]!]);
    const mean = tf.mean(rows, 1, true);
    const centred = tf.sub(rows, mean);
    const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon));
    const y = tf.add(tf.mul(tf.mul(centred, rstd), gamma!), beta!);
    return [tf.reshape(y, x!.shape), tf.concat([mean, rstd], 1)];
  },
  gradient({dy, inputs: [x, gamma], outputs: [stats], attrs}) {
    return together(() => {
      const parameters = needs(1, 2);
      if (hasKernel('FusedLayerNormGrad')) {
        const onto = hasKernel('FusedLayerNormGradOnto') ? takeGradientSoFar() : undefined;
        const of = [dy, stats!, x!, gamma!];
        return onto
          ? runFused('FusedLayerNormGradOnto', [onto, ...of], {...attrs, parameters})
          : runFused('FusedLayerNormGrad', of, {...attrs, parameters});
      }
      const rows = tf.reshape(x!, [-1, x!.shape[x!.rank - 1]!]);
      const [mean, rstd] = tf.split(stats!, 2, 1) as [tf.Tensor, tf.Tensor];
      const xhat = tf.mul(tf.sub(rows, mean), rstd);
      const dyRows = tf.reshape(dy, rows.shape);
      const dxhat = tf.mul(dyRows, gamma!);
      const along = tf.mul(xhat, tf.mean(tf.mul(dxhat, xhat), 1, true));
      const dx = tf.mul(tf.sub(tf.sub(dxhat, tf.mean(dxhat, 1, true)), along), rstd);
      return [tf.reshape(dx, x!.shape), columnSum(tf.mul(dyRows, xhat)), columnSum(dyRows)];
    }, 3);
  },
});
