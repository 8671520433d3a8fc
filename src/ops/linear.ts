// x W + b over the last axis: kernels FusedLinear and its two gradients, or one standard kernel forward (_FusedMatMul). The
// gradient computes only what is asked for, which tf.fused.matMul's does not.
import * as tf from '../tf.ts';
import {columnSum} from './column_sum.ts';
import {bilinearOp, hasKernel, runFused} from './fused.ts';
import {takeGradientSoFar} from './needed.ts';

/** x [..., in], kernel [in, out], bias [out] -> [..., out]. */
export function linear(x: tf.Tensor, kernel: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const [inputs, outputs] = kernel.shape as [number, number];
  if (kernel.rank !== 2 || x.shape[x.rank - 1] !== inputs) {
    throw new Error(`linear: kernel [in, out] over x [..., in], got [${kernel.shape}] and [${x.shape}].`);
  }
  if (hasKernel('FusedLinear')) return inOne(bias ? [x, kernel, bias] : [x, kernel], {});
  const rows = tf.reshape(x, [-1, inputs]);
  const y = overRows(bias ? [rows, kernel, bias] : [rows, kernel], {});
  return tf.reshape(y, [...x.shape.slice(0, -1), outputs]);
}

const inOne = bilinearOp<Record<string, never>>({
  name: 'linear',
  plain: inputs => runFused('FusedLinear', inputs, {}),
  gradient: ({dy, inputs: [x, kernel]}) => [
    () => {
      const onto = hasKernel('FusedLinearInputGradOnto') ? takeGradientSoFar() : undefined;
      return onto
        ? runFused('FusedLinearInputGradOnto', [onto, dy, kernel!], {})[0]!
        : runFused('FusedLinearInputGrad', [dy, kernel!], {})[0]!;
    },
    () => runFused('FusedLinearKernelGrad', [x!, dy], {})[0]!,
    () => columnSum(dy),
  ],
});

const overRows = bilinearOp<Record<string, never>>({
  name: 'linear',
  plain: ([x, kernel, bias]) => [
    bias
      ? tf.fused.matMul({a: x as tf.Tensor2D, b: kernel as tf.Tensor2D, bias})
      : tf.matMul(x as tf.Tensor2D, kernel as tf.Tensor2D),
  ],
  gradient: ({dy, inputs: [x, kernel]}) => [
    () => tf.matMul(dy as tf.Tensor2D, kernel as tf.Tensor2D, false, true),
    () => tf.matMul(x as tf.Tensor2D, dy as tf.Tensor2D, true, false),
    () => columnSum(dy),
  ],
});
