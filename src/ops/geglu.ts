// Gated gelu of transformer feed-forward layers (Shazeer 2020): value * gelu(gate). Kernels Geglu and GegluGrad.
import * as tf from '../tf.ts';
import {geluSlope, normalCdf} from './activation.ts';
import {fusedOp, hasKernel, runFused} from './fused.ts';

/** x [..., 2C] -> [..., C]: the first half of the last axis times gelu (erf) of the second. */
export function geglu(x: tf.Tensor): tf.Tensor {
  if (x.shape[x.rank - 1]! % 2 !== 0) throw new Error(`geglu: the last axis must be even, got [${x.shape}].`);
  return run([x], {});
}

const run = fusedOp<Record<string, never>>({
  name: 'geglu',
  kernel: 'Geglu',
  saveInputs: [0],
  saveOutputs: [false],
  cheap: true,
  plain([x]) {
    const [value, gate] = halves(x!);
    return [tf.mul(value, tf.mul(gate, normalCdf(gate)))];
  },
  gradient: ({dy, inputs: [x]}) => [
    () => {
      if (hasKernel('GegluGrad')) return runFused('GegluGrad', [dy, x!], {})[0]!;
      const [value, gate] = halves(x!);
      const dValue = tf.mul(dy, tf.mul(gate, normalCdf(gate)));
      return tf.concat([dValue, tf.mul(tf.mul(dy, value), geluSlope(gate))], x!.rank - 1);
    },
  ],
});

function halves(x: tf.Tensor): [tf.Tensor, tf.Tensor] {
  return tf.split(x, 2, x.rank - 1) as [tf.Tensor, tf.Tensor];
}
