// Conv2DBackpropInput and Conv2DBackpropFilter. The input gradient of a stride-1 convolution is a forward convolution with the
// flipped kernel; of another stride, a matrix product whose columns are added back to where they came from. The filter
// gradient is the unfolded input, transposed, times the output gradient.
import * as tf from '../../tf.ts';
import {floats, free, original, output, supply, type WasmBackend, withView} from './heap.ts';
import {multiply, rowsTimes, transposed} from './matmul.ts';

type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** Floats of unfolded input held at a time: 1 MiB, to stay in cache. */
const UNFOLDED = 1 << 18;

export function supplyConv2D(): void {
  supply(tf.Conv2DBackpropInput, (backend, {dy, filter}, attrs) => {
    const info = infoOf(attrs.inputShape as Shape4, filter!.shape as Shape4, attrs);
    return (
      inputGradient(backend, dy!, filter!, info) ??
      original(tf.Conv2DBackpropInput)(backend, {dy: dy!, filter: filter!}, attrs)
    );
  });
  supply(tf.Conv2DBackpropFilter, (backend, {x, dy}, attrs) =>
    filterGradient(backend, x!, dy!, infoOf(x!.shape as Shape4, attrs.filterShape as Shape4, attrs)),
  );
}

type Shape4 = [number, number, number, number];

function infoOf(x: Shape4, filter: Shape4, attrs: Record<string, unknown>): ConvInfo {
  const {
    strides,
    pad,
    dimRoundingMode,
    dilations = 1,
    dataFormat = 'NHWC',
  } = attrs as {
    strides: [number, number] | number;
    pad: 'same' | 'valid' | number;
    dimRoundingMode?: 'floor' | 'round' | 'ceil';
    dilations?: [number, number] | number;
    dataFormat?: string;
  };
  if (dataFormat !== 'NHWC') throw new Error(`Gradients of conv2d on wasm take NHWC data, got ${dataFormat}.`);
  return tf.backend_util.computeConv2DInfo(x, filter, strides, dilations, pad, dimRoundingMode, false, 'channelsLast');
}

function isPointwise(info: ConvInfo): boolean {
  const {top, bottom, left, right} = info.padInfo;
  const one = info.filterHeight === 1 && info.filterWidth === 1 && info.strideHeight === 1 && info.strideWidth === 1;
  return one && top === 0 && bottom === 0 && left === 0 && right === 0;
}

/** Undefined where the original kernel is to do it. */
function inputGradient(
  backend: WasmBackend,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
  info: ConvInfo,
): tf.TensorInfo | undefined {
  if (info.dilationHeight !== 1 || info.dilationWidth !== 1) return undefined;
  const {filterHeight: kh, filterWidth: kw, inChannels, outChannels} = info;
  if (isPointwise(info)) {
    const weights = transposed(backend, {...filter, shape: [inChannels, outChannels]});
    const dx = rowsTimes(backend, dy, weights);
    free(backend, weights);
    return dx;
  }
  if (info.strideHeight !== 1 || info.strideWidth !== 1) {
    const weights = transposed(backend, {...filter, shape: [kh * kw * inChannels, outChannels]});
    const columns = rowsTimes(backend, dy, weights);
    const dx = output(backend, info.inShape);
    foldInto(floats(backend, columns), floats(backend, dx).fill(0), info);
    free(backend, weights, columns);
    return dx;
  }
  const [top, left] = [kh - 1 - info.padInfo.top, kw - 1 - info.padInfo.left];
  const bottom = info.inHeight - info.outHeight - top + kh - 1;
  const right = info.inWidth - info.outWidth - left + kw - 1;
  if (Math.min(top, left, bottom, right) < 0) return undefined;
  const flipped = output(backend, [kh, kw, outChannels, inChannels]);
  const [from, to] = [floats(backend, filter), floats(backend, flipped)];
  const taps = kh * kw;
  for (let tap = 0; tap < taps; tap++) {
    const [source, target] = [tap * inChannels * outChannels, (taps - 1 - tap) * inChannels * outChannels];
    for (let i = 0; i < inChannels; i++) {
      for (let o = 0; o < outChannels; o++) to[target + o * inChannels + i] = from[source + i * outChannels + o]!;
    }
  }
  const pad = [[0, 0], [top, bottom], [left, right], [0, 0]]; // biome-ignore format: a row per axis would say no more
  const dx = original(tf.Conv2D)(
    backend,
    {x: dy, filter: flipped},
    {strides: [1, 1], pad, dataFormat: 'NHWC', dilations: [1, 1]},
  );
  free(backend, flipped);
  return dx;
}

/** Calls `copy` for every run of channels that one output position and one tap read: offsets into columns and input. */
function eachTap(info: ConvInfo, images: number, copy: (column: number, input: number) => void): void {
  const {filterHeight, filterWidth, inChannels, inHeight, inWidth, outHeight, outWidth, padInfo} = info;
  const {strideHeight, strideWidth, dilationHeight, dilationWidth} = info;
  let column = 0;
  for (let n = 0; n < images; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let ky = 0; ky < filterHeight; ky++) {
          const y = oy * strideHeight - padInfo.top + ky * dilationHeight;
          for (let kx = 0; kx < filterWidth; kx++, column += inChannels) {
            const x = ox * strideWidth - padInfo.left + kx * dilationWidth;
            const inside = y >= 0 && y < inHeight && x >= 0 && x < inWidth;
            copy(column, inside ? ((n * inHeight + y) * inWidth + x) * inChannels : -1);
          }
        }
      }
    }
  }
}

function foldInto(columns: Float32Array, dx: Float32Array, info: ConvInfo): void {
  const channels = info.inChannels;
  eachTap(info, info.batchSize, (column, input) => {
    if (input >= 0) for (let c = 0; c < channels; c++) dx[input + c]! += columns[column + c]!;
  });
}

function filterGradient(backend: WasmBackend, x: tf.TensorInfo, dy: tf.TensorInfo, info: ConvInfo): tf.TensorInfo {
  const plain =
    info.strideHeight === 1 && info.strideWidth === 1 && info.dilationHeight === 1 && info.dilationWidth === 1;
  return plain ? filterGradientByTaps(backend, x, dy, info) : filterGradientUnfolded(backend, x, dy, info);
}

/** Rows of a product whose operands stay in a processor's caches. */
const CHUNK = 1024;

/**
 * Stride 1: on a grid as large as the padded input, tap (ky, kx) reads what lies ky rows and kx pixels further, for every
 * output position alike. So the unfolded input, transposed, is runs of the transposed input, one per tap and channel, and
 * one product with dy (which XNNPACK repacks at each use: hence the right operand, once) gives [kh, kw, in, out] as it is
 * kept. Output positions that do not exist have a zero dy.
 */
function filterGradientByTaps(
  backend: WasmBackend,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  info: ConvInfo,
): tf.TensorInfo {
  const {batchSize, inChannels, outChannels, filterHeight, filterWidth, outHeight, outWidth, padInfo} = info;
  const [height, width] = [outHeight + filterHeight - 1, outWidth + filterWidth - 1];
  const source = onGrid(backend, x, padInfo.top, padInfo.left, height, width);
  const upstream = onGrid(backend, dy, 0, 0, height, width);
  const furthest = (filterHeight - 1) * width + (filterWidth - 1);
  const length = batchSize * height * width - furthest;
  const total = new Float64Array(filterHeight * filterWidth * inChannels * outChannels);
  for (let from = 0; from < length; from += CHUNK) {
    const rows = Math.min(CHUNK, length - from);
    const reach = rows + furthest;
    const across = withView(backend, source, from * inChannels, [reach, inChannels], view => transposed(backend, view));
    const left = output(backend, [filterHeight * filterWidth * inChannels, rows]);
    const [runs, taps] = [floats(backend, across), floats(backend, left)];
    let at = 0;
    for (let ky = 0; ky < filterHeight; ky++) {
      for (let kx = 0; kx < filterWidth; kx++) {
        for (let c = 0; c < inChannels; c++, at += rows) {
          const start = c * reach + ky * width + kx;
          taps.set(runs.subarray(start, start + rows), at);
        }
      }
    }
    const product = withView(backend, upstream, from * outChannels, [rows, outChannels], right =>
      multiply(backend, left, right),
    );
    const part = floats(backend, product);
    for (let i = 0; i < total.length; i++) total[i]! += part[i]!;
    free(backend, across, left, product);
  }
  if (source !== x) free(backend, source);
  if (upstream !== dy) free(backend, upstream);
  const result = output(backend, info.filterShape);
  floats(backend, result).set(total);
  return result;
}

/** x [N, H, W, C] placed at (top, left) of [N, height, width, C] zeros; cut where it does not fit; x itself where it fills it. */
function onGrid(
  backend: WasmBackend,
  x: tf.TensorInfo,
  top: number,
  left: number,
  height: number,
  width: number,
): tf.TensorInfo {
  const [n, h, w, c] = x.shape as Shape4;
  if (h === height && w === width) return x;
  const grid = output(backend, [n, height, width, c]);
  const [from, to] = [floats(backend, x), floats(backend, grid).fill(0)];
  const run = Math.min(w, width - left) * c;
  for (let image = 0; image < n; image++) {
    for (let y = 0; y < Math.min(h, height - top); y++) {
      const start = (image * h + y) * w * c;
      to.set(from.subarray(start, start + run), ((image * height + y + top) * width + left) * c);
    }
  }
  return grid;
}

/** Other strides: dy^T [out, P] x unfolded input [P, kh*kw*in], a few images at a time, then transposed to [kh, kw, in, out]. */
function filterGradientUnfolded(
  backend: WasmBackend,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  info: ConvInfo,
): tf.TensorInfo {
  const {batchSize, outHeight, outWidth, inChannels, outChannels, filterHeight, filterWidth} = info;
  const width = filterHeight * filterWidth * inChannels;
  const positions = outHeight * outWidth;
  const total = new Float64Array(outChannels * width);
  const many = Math.max(1, Math.min(batchSize, Math.floor(UNFOLDED / (positions * width))));
  const perImage = info.inHeight * info.inWidth * inChannels;
  for (let first = 0; first < batchSize; first += many) {
    const images = Math.min(many, batchSize - first);
    const rows = images * positions;
    const left = withView(backend, dy, first * positions * outChannels, [rows, outChannels], view =>
      transposed(backend, view),
    );
    const right = output(backend, [rows, width]);
    unfold(floats(backend, x).subarray(first * perImage), floats(backend, right), info, images);
    const product = multiply(backend, left, right);
    const part = floats(backend, product);
    for (let i = 0; i < total.length; i++) total[i]! += part[i]!;
    free(backend, left, right, product);
  }
  const result = output(backend, info.filterShape);
  const to = floats(backend, result);
  for (let o = 0; o < outChannels; o++) for (let i = 0; i < width; i++) to[i * outChannels + o] = total[o * width + i]!;
  return result;
}

function unfold(x: Float32Array, columns: Float32Array, info: ConvInfo, images: number): void {
  const channels = info.inChannels;
  eachTap(info, images, (column, input) => {
    if (input < 0) columns.fill(0, column, column + channels);
    else for (let c = 0; c < channels; c++) columns[column + c] = x[input + c]!;
  });
}
