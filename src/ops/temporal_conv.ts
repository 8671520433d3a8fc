// Convolution over time and space of [B, T, H, W, C] with 'same' padding. A (3,1,1) kernel is a 2-D convolution over the axes
// (T, H*W), a reshape away; (3,3,3) is conv3d.
import * as tf from '../tf.ts';
import {addPerSample} from './add_per_sample.ts';
import {columnSum} from './column_sum.ts';
import {conv2d} from './conv2d.ts';
import {bilinearOp} from './fused.ts';

/** x [B, T, H, W, in], kernel [kt, kh, kw, in, out] with odd kt, kh, kw, bias [out] -> [B, T, H, W, out]. */
export function temporalConv(x: tf.Tensor, kernel: tf.Tensor, bias?: tf.Tensor): tf.Tensor5D {
  if (x.rank !== 5 || kernel.rank !== 5 || x.shape[4] !== kernel.shape[3]) {
    throw new Error(
      `temporalConv: kernel [kt, kh, kw, in, out] over x [B, T, H, W, in], got [${kernel.shape}] and [${x.shape}].`,
    );
  }
  const [b, t, h, w, inputs] = x.shape as [number, number, number, number, number];
  const [kt, kh, kw, , outputs] = kernel.shape as [number, number, number, number, number];
  if (kh === 1 && kw === 1) {
    const y = conv2d(tf.reshape(x, [b, t, h * w, inputs]), tf.reshape(kernel, [kt, 1, inputs, outputs]), bias);
    return tf.reshape(y, [b, t, h, w, outputs]);
  }
  return run(bias ? [x, kernel, bias] : [x, kernel], {xShape: x.shape, kernelShape: kernel.shape}) as tf.Tensor5D;
}

const run = bilinearOp<{xShape: number[]; kernelShape: number[]}>({
  name: 'temporalConv',
  plain([x, kernel, bias]) {
    const y = tf.conv3d(x as tf.Tensor5D, kernel as tf.Tensor5D, 1, 'same');
    // Not tf.add: under bf16 the float32 bias would make the result float32.
    return [bias ? addPerSample(y, tf.fill([y.shape[0], bias.size], 0), bias) : y];
  },
  gradient({dy, inputs: [x, kernel], attrs: {xShape, kernelShape}}) {
    const backward = (name: string, inputs: tf.NamedTensorMap, more: tf.NamedAttrMap): tf.Tensor =>
      tf.engine().runKernel(name, inputs, {strides: [1, 1, 1], pad: 'same', ...more});
    return [
      () => backward(tf.Conv3DBackpropInputV2, {dy, filter: kernel!}, {inputShape: xShape}),
      () => backward(tf.Conv3DBackpropFilterV2, {x: x!, dy}, {filterShape: kernelShape}),
      () => columnSum(dy),
    ];
  },
});
