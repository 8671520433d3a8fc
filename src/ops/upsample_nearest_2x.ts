// Nearest-neighbour enlargement by two. Kernels UpsampleNearest2x and UpsampleNearest2xGrad.
import * as tf from '../tf.ts';
import {fusedOp, hasKernel, runFused} from './fused.ts';

/** x [N, H, W, C] -> [N, 2H, 2W, C]. */
export function upsampleNearest2x(x: tf.Tensor): tf.Tensor4D {
  if (x.rank !== 4) throw new Error(`upsampleNearest2x: x must be [N, H, W, C], got [${x.shape}].`);
  return run([x], {}) as tf.Tensor4D;
}

const run = fusedOp<Record<string, never>>({
  name: 'upsampleNearest2x',
  kernel: 'UpsampleNearest2x',
  saveInputs: [],
  saveOutputs: [false],
  plain([x]) {
    const [n, h, w, c] = x!.shape as [number, number, number, number];
    // Doubling the pixels of a row, then the rows: rank 4 is what every backend's tile handles.
    const wide = tf.tile(tf.reshape(x!, [n * h, w, 1, c]), [1, 1, 2, 1]);
    const tall = tf.tile(tf.reshape(wide, [n, h, 1, 2 * w * c]), [1, 1, 2, 1]);
    return [tf.reshape(tall, [n, 2 * h, 2 * w, c])];
  },
  gradient: ({dy}) => [
    () => {
      if (hasKernel('UpsampleNearest2xGrad')) return runFused('UpsampleNearest2xGrad', [dy], {})[0]!;
      const [n, h, w, c] = dy.shape as [number, number, number, number];
      const rows = tf.sum(tf.reshape(dy, [(n * h) / 2, 2, w * c]), 1);
      return tf.reshape(tf.sum(tf.reshape(rows, [(n * h * w) / 4, 2, c]), 1), [n, h / 2, w / 2, c]);
    },
  ],
});
