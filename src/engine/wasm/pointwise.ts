// The fused kernels without reductions across channels: activations, GEGLU, enlargement, mixing, bias and timestep.
import type {ActivationKind} from '../../ops/kernel_contracts.ts';
import * as tf from '../../tf.ts';
import {address, floats, output, supplyFused, type WasmBackend} from './heap.ts';
import {freePadded, padded, roundedUp, runElements, runRows, sumInChunks, unpadded, vectors} from './rows.ts';

const sizeOf = (info: tf.TensorInfo) => tf.util.sizeFromShape(info.shape);
const channelsOf = (info: tf.TensorInfo) => info.shape[info.shape.length - 1]!;

export function supplyPointwise(): void {
  supplyFused<{kind: ActivationKind}>('FusedActivation', (backend, [x], {kind}) => {
    const y = output(backend, x!.shape);
    runElements(backend, kind, [x!, y], sizeOf(x!));
    return [y];
  });
  supplyFused<{kind: ActivationKind}>('FusedActivationGrad', (backend, [dy, x], {kind}) => {
    const dx = output(backend, x!.shape);
    runElements(backend, `${kind}Gradient`, [dy!, x!, dx], sizeOf(x!));
    return [dx];
  });
  supplyFused('ColumnSum', (backend, [x]) => {
    const sums = output(backend, [channelsOf(x!)]);
    columnSums(backend, x!, 1, sums);
    return [sums];
  });
  supplyFused('BiasTimestepAddGrad', (backend, [dy]) => {
    const sums = output(backend, [dy!.shape[0]!, channelsOf(dy!)]);
    columnSums(backend, dy!, dy!.shape[0]!, sums);
    return [sums];
  });
  supplyFused('BiasTimestepAdd', (backend, [x, embedding, bias]) => {
    const [samples, channels] = [x!.shape[0]!, channelsOf(x!)];
    const [rows, wide] = [sizeOf(x!) / (samples * channels), roundedUp(channels)];
    const source = padded(backend, x!, samples * rows, channels);
    const y = output(backend, [samples * rows, wide]);
    const v = vectors(backend, 1, wide);
    const [e, b] = [floats(backend, embedding!), bias ? floats(backend, bias) : undefined];
    const sum = v.at(0).fill(0);
    for (let n = 0; n < samples; n++) {
      for (let c = 0; c < channels; c++) sum[c] = e[n * channels + c]! + (b ? b[c]! : 0);
      const offset = 4 * n * rows * wide;
      runRows(
        backend,
        'addRow',
        rows,
        wide,
        [address(backend, source) + offset, address(backend, y) + offset],
        [v.pointer(0)],
      );
    }
    v.free();
    freePadded(backend, source, x!);
    return [unpadded(backend, y, x!.shape)];
  });
  supplyUpsample();
}

/** sums [samples, C] of x [samples * rows, C], in float64. */
function columnSums(backend: WasmBackend, x: tf.TensorInfo, samples: number, sums: tf.TensorInfo): void {
  const channels = channelsOf(x);
  const [rows, wide] = [sizeOf(x) / (samples * channels), roundedUp(channels)];
  const source = padded(backend, x, samples * rows, channels);
  const v = vectors(backend, 1, wide);
  const total = new Float64Array(channels);
  for (let n = 0; n < samples; n++) {
    const from = address(backend, source) + 4 * n * rows * wide;
    sumInChunks(rows, [v.at(0)], [total], (first, many) =>
      runRows(backend, 'columnSum', many, wide, [from + 4 * first * wide], [v.pointer(0)]),
    );
    floats(backend, sums).set(total, n * channels);
  }
  v.free();
  freePadded(backend, source, x);
}

function supplyUpsample(): void {
  supplyFused('UpsampleNearest2x', (backend, [x]) => {
    const [n, h, w, c] = x!.shape as [number, number, number, number];
    const y = output(backend, [n, 2 * h, 2 * w, c]);
    const [from, to] = [floats(backend, x!), floats(backend, y)];
    for (let row = 0; row < n * h; row++) {
      const target = 4 * row * w * c;
      for (let j = 0; j < w; j++) {
        const pixel = from.subarray((row * w + j) * c, (row * w + j + 1) * c);
        to.set(pixel, target + 2 * j * c);
        to.set(pixel, target + (2 * j + 1) * c);
      }
      to.copyWithin(target + 2 * w * c, target, target + 2 * w * c);
    }
    return [y];
  });
  supplyFused('UpsampleNearest2xGrad', (backend, [dy]) => {
    const [n, h, w, c] = dy!.shape as [number, number, number, number];
    const dx = output(backend, [n, h / 2, w / 2, c]);
    const [from, to] = [floats(backend, dy!), floats(backend, dx)];
    for (let row = 0; row < (n * h) / 2; row++) {
      const [upper, lower] = [2 * row * w * c, (2 * row + 1) * w * c];
      for (let j = 0; j < w / 2; j++) {
        const [target, left] = [(row * (w / 2) + j) * c, 2 * j * c];
        for (let k = 0; k < c; k++) {
          const i = left + k;
          to[target + k] = from[upper + i]! + from[upper + i + c]! + (from[lower + i]! + from[lower + i + c]!);
        }
      }
    }
    return [dx];
  });
}

export function supplyGeglu(): void {
  supplyFused('Geglu', (backend, [x]) => {
    const half = channelsOf(x!) / 2;
    const rows = sizeOf(x!) / (2 * half);
    const [source, wide] = paddedHalves(backend, x!, rows, half);
    const y = output(backend, [rows, wide]);
    const from = address(backend, source);
    runRows(backend, 'geglu', rows, wide, [from, from + 4 * wide, address(backend, y)], []);
    freePadded(backend, source, x!);
    return [unpadded(backend, y, [...x!.shape.slice(0, -1), half])];
  });
  supplyFused('GegluGrad', (backend, [dy, x]) => {
    const half = channelsOf(x!) / 2;
    const rows = sizeOf(x!) / (2 * half);
    const [source, wide] = paddedHalves(backend, x!, rows, half);
    const upstream = padded(backend, dy!, rows, half);
    const dx = output(backend, [2 * rows, wide]);
    const [from, to] = [address(backend, source), address(backend, dx)];
    const pointers = [address(backend, upstream), from, from + 4 * wide, to, to + 4 * wide];
    runRows(backend, 'gegluGradient', rows, wide, pointers, []);
    freePadded(backend, source, x!);
    freePadded(backend, upstream, dy!);
    return [{...unpadded(backend, dx, [2 * rows, half]), shape: [...x!.shape]}];
  });
}

/** x [rows, 2 * half] with each half of a row rounded up to whole groups of four. */
function paddedHalves(backend: WasmBackend, x: tf.TensorInfo, rows: number, half: number): [tf.TensorInfo, number] {
  return [padded(backend, x, 2 * rows, half), roundedUp(half)];
}
