// Conv3D and its gradients as 2-D convolutions: the frames that one output frame reads lie side by side in the channels.
import * as tf from '../../tf.ts';
import {floats, free, output, supply, type WasmBackend} from './heap.ts';

type ConvInfo = ReturnType<typeof tf.backend_util.computeConv3DInfo>;
type Shape5 = [number, number, number, number, number];

function infoOf(x: readonly number[], filter: readonly number[], attrs: Record<string, unknown>): ConvInfo {
  const {
    strides,
    pad,
    dilations = 1,
  } = attrs as {
    strides: [number, number, number] | number;
    pad: 'same' | 'valid';
    dilations?: [number, number, number] | number;
  };
  return tf.backend_util.computeConv3DInfo(x as Shape5, filter as Shape5, strides, dilations, pad);
}

/** The 2-D convolution's attributes: rows and columns are padded, strided and dilated as in 3-D. */
function planar({padInfo, strideHeight, strideWidth, dilationHeight, dilationWidth}: ConvInfo): tf.NamedAttrMap {
  const {top, bottom, left, right} = padInfo;
  const none = top === 0 && bottom === 0 && left === 0 && right === 0;
  const explicit = [[0, 0], [top, bottom], [left, right], [0, 0]]; // biome-ignore format: one axis, one pair
  return {
    strides: [strideHeight, strideWidth],
    dilations: [dilationHeight, dilationWidth],
    pad: none ? 'valid' : explicit,
    dataFormat: 'NHWC',
  };
}

function run(backend: WasmBackend, name: string, inputs: tf.NamedTensorInfoMap, attrs: tf.NamedAttrMap): tf.TensorInfo {
  return tf.getKernel(name, 'wasm')!.kernelFunc({inputs, backend, attrs}) as tf.TensorInfo;
}

/** Calls `each` for every pixel of every output frame and tap in time: offsets into the wide and the plain frames, or -1. */
function eachPixel(info: ConvInfo, each: (wide: number, plain: number) => void): void {
  const {
    batchSize,
    outDepth,
    inDepth,
    inHeight,
    inWidth,
    inChannels,
    filterDepth,
    strideDepth,
    dilationDepth,
    padInfo,
  } = info;
  const pixels = inHeight * inWidth;
  for (let frame = 0; frame < batchSize * outDepth; frame++) {
    const [clip, t] = [Math.floor(frame / outDepth), frame % outDepth];
    for (let k = 0; k < filterDepth; k++) {
      const source = t * strideDepth - padInfo.front + k * dilationDepth;
      const from = source >= 0 && source < inDepth ? (clip * inDepth + source) * pixels * inChannels : -1;
      for (let p = 0; p < pixels; p++) {
        each((frame * pixels + p) * filterDepth * inChannels + k * inChannels, from < 0 ? -1 : from + p * inChannels);
      }
    }
  }
}

/** [B, T, H, W, C] -> [B*T', H, W, kt*C] */
function unfolded(backend: WasmBackend, x: tf.TensorInfo, info: ConvInfo): tf.TensorInfo {
  const {batchSize, outDepth, inHeight, inWidth, inChannels, filterDepth} = info;
  const wide = output(backend, [batchSize * outDepth, inHeight, inWidth, filterDepth * inChannels]);
  const [from, to] = [floats(backend, x), floats(backend, wide)];
  eachPixel(info, (target, source) => {
    if (source < 0) to.fill(0, target, target + inChannels);
    else for (let c = 0; c < inChannels; c++) to[target + c] = from[source + c]!;
  });
  return wide;
}

/** [kt, kh, kw, in, out] -> [kh, kw, kt*in, out], or back. */
function sideBySide(backend: WasmBackend, filter: tf.TensorInfo, info: ConvInfo, back: boolean): tf.TensorInfo {
  const {filterDepth, filterHeight, filterWidth, inChannels, outChannels} = info;
  const taps = filterHeight * filterWidth;
  const block = inChannels * outChannels;
  const shape = back ? info.filterShape : [filterHeight, filterWidth, filterDepth * inChannels, outChannels];
  const result = output(backend, shape);
  const [from, to] = [floats(backend, filter), floats(backend, result)];
  for (let k = 0; k < filterDepth; k++) {
    for (let tap = 0; tap < taps; tap++) {
      const [deep, flat] = [(k * taps + tap) * block, (tap * filterDepth + k) * block];
      to.set(from.subarray(back ? flat : deep, (back ? flat : deep) + block), back ? deep : flat);
    }
  }
  return result;
}

const asFrames = (dy: tf.TensorInfo): tf.TensorInfo => ({
  ...dy,
  shape: [dy.shape[0]! * dy.shape[1]!, ...dy.shape.slice(2)],
});

export function supplyConv3D(): void {
  supply(tf.Conv3D, (backend, {x, filter}, attrs) => {
    const info = infoOf(x!.shape, filter!.shape, attrs);
    const [wide, weights] = [unfolded(backend, x!, info), sideBySide(backend, filter!, info, false)];
    const y = run(backend, tf.Conv2D, {x: wide, filter: weights}, planar(info));
    free(backend, wide, weights);
    return {...y, shape: [...info.outShape]};
  });
  supply(tf.Conv3DBackpropInputV2, (backend, {dy, filter}, attrs) => {
    const info = infoOf(attrs.inputShape as number[], filter!.shape, attrs);
    const weights = sideBySide(backend, filter!, info, false);
    const {batchSize, outDepth, inHeight, inWidth, inChannels, filterDepth} = info;
    const inputShape = [batchSize * outDepth, inHeight, inWidth, filterDepth * inChannels];
    const wide = run(
      backend,
      tf.Conv2DBackpropInput,
      {dy: asFrames(dy!), filter: weights},
      {...planar(info), inputShape},
    );
    const dx = output(backend, info.inShape);
    const [from, to] = [floats(backend, wide), floats(backend, dx).fill(0)];
    eachPixel(info, (source, target) => {
      if (target >= 0) for (let c = 0; c < inChannels; c++) to[target + c]! += from[source + c]!;
    });
    free(backend, wide, weights);
    return dx;
  });
  supply(tf.Conv3DBackpropFilterV2, (backend, {x, dy}, attrs) => {
    const info = infoOf(x!.shape, attrs.filterShape as number[], attrs);
    const wide = unfolded(backend, x!, info);
    const filterShape = [info.filterHeight, info.filterWidth, info.filterDepth * info.inChannels, info.outChannels];
    const flat = run(backend, tf.Conv2DBackpropFilter, {x: wide, dy: asFrames(dy!)}, {...planar(info), filterShape});
    const gradient = sideBySide(backend, flat, info, true);
    free(backend, wide, flat);
    return gradient;
  });
}
