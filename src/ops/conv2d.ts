// 2-D convolution, channels last, with torch's padding. One standard kernel forward (FusedConv2D or Conv2D), the standard
// Conv2DBackpropInput and Conv2DBackpropFilter backward, each only when asked for (tf.fused.conv2d computes all of them).
import * as tf from '../tf.ts';
import {columnSum} from './column_sum.ts';
import {bilinearOp} from './fused.ts';

/** 'same' as TensorFlow has it, a symmetric number of pixels, or [[top, bottom], [left, right]]. */
export type Padding = 'same' | 'valid' | number | readonly [readonly [number, number], readonly [number, number]];

export interface Conv2dOptions {
  stride?: number;
  /** 'same' where absent. */
  pad?: Padding;
}

/** x [N, H, W, in], kernel [kh, kw, in, out], bias [out] -> [N, H', W', out]. */
export function conv2d(x: tf.Tensor, kernel: tf.Tensor, bias?: tf.Tensor, options: Conv2dOptions = {}): tf.Tensor4D {
  if (x.rank !== 4 || kernel.rank !== 4 || x.shape[3] !== kernel.shape[2]) {
    throw new Error(`conv2d: kernel [kh, kw, in, out] over x [N, H, W, in], got [${kernel.shape}] and [${x.shape}].`);
  }
  const {stride = 1, pad = 'same'} = options;
  return run(bias ? [x, kernel, bias] : [x, kernel], {
    stride,
    pad: explicit(pad),
    xShape: x.shape,
    kernelShape: kernel.shape,
  }) as tf.Tensor4D;
}

type KernelPadding = 'same' | 'valid' | [[number, number], [number, number], [number, number], [number, number]];

function explicit(pad: Padding): KernelPadding {
  if (pad === 'same' || pad === 'valid') return pad;
  const [[top, bottom], [left, right]] = typeof pad === 'number' ? [[pad, pad] as const, [pad, pad] as const] : pad;
  if (top === 0 && bottom === 0 && left === 0 && right === 0) return 'valid';
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

interface Conv2dAttrs {
  stride: number;
  pad: KernelPadding;
  xShape: number[];
  kernelShape: number[];
}

const run = bilinearOp<Conv2dAttrs>({
  name: 'conv2d',
  plain([x, kernel, bias], {stride, pad}) {
    const [$x, filter] = [x as tf.Tensor4D, kernel as tf.Tensor4D];
    if (bias === undefined) return [tf.conv2d($x, filter, stride, pad)];
    return [tf.fused.conv2d({x: $x, filter, strides: stride, pad, bias})];
  },
  gradient({dy, inputs: [x, kernel], attrs: {stride, pad, xShape, kernelShape}}) {
    const attrs = {strides: [stride, stride], pad, dataFormat: 'NHWC'};
    const backward = (name: string, inputs: tf.NamedTensorMap, more: tf.NamedAttrMap): tf.Tensor =>
      tf.engine().runKernel(name, inputs, {...attrs, ...more});
    return [
      () => backward(tf.Conv2DBackpropInput, {dy, filter: kernel!}, {inputShape: xShape}),
      () => backward(tf.Conv2DBackpropFilter, {x: x!, dy}, {filterShape: kernelShape}),
      () => columnSum(dy),
    ];
  },
});
