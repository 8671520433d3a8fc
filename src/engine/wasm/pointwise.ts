// The fused kernels without reductions across channels: activations, GEGLU, enlargement, mixing, bias and timestep.
import type {ActivationKind} from '../../ops/kernel_contracts.ts';
import * as tf from '../../tf.ts';
import {address, floats, free, output, supplyFused, type WasmBackend} from './heap.ts';
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
    const y = output(backend, [...x!.shape.slice(0, -1), half]);
    const [value, gate] = halves(backend, x!, half);
    runElements(backend, 'gelu', [gate, y], sizeOf(y));
    const [v, to] = [floats(backend, value), floats(backend, y)];
    for (let i = 0; i < to.length; i++) to[i]! *= v[i]!;
    free(backend, value, gate);
    return [y];
  });
  supplyFused('GegluGrad', (backend, [dy, x]) => {
    const half = channelsOf(x!) / 2;
    const dx = output(backend, x!.shape);
    const [value, gate] = halves(backend, x!, half);
    const [activated, slope] = [output(backend, dy!.shape), output(backend, dy!.shape)];
    const size = sizeOf(dy!);
    runElements(backend, 'gelu', [gate, activated], size);
    runElements(backend, 'geluGradient', [dy!, gate, slope], size);
    const [g, a, s, v, to] = [dy!, activated, slope, value, dx].map(info => floats(backend, info)) as Float32Array[];
    for (let row = 0, i = 0; i < size; row++) {
      for (let c = 0; c < half; c++, i++) {
        to![2 * row * half + c] = g![i]! * a![i]!;
        to![(2 * row + 1) * half + c] = s![i]! * v![i]!;
      }
    }
    free(backend, value, gate, activated, slope);
    return [dx];
  });
}

/** The two halves of the last axis, each dense. */
function halves(backend: WasmBackend, x: tf.TensorInfo, half: number): [tf.TensorInfo, tf.TensorInfo] {
  const shape = [...x.shape.slice(0, -1), half];
  const [value, gate] = [output(backend, shape), output(backend, shape)];
  const [from, first, second] = [floats(backend, x), floats(backend, value), floats(backend, gate)];
  for (let row = 0; row * half < first.length; row++) {
    first.set(from.subarray(2 * row * half, (2 * row + 1) * half), row * half);
    second.set(from.subarray((2 * row + 1) * half, (2 * row + 2) * half), row * half);
  }
  return [value, gate];
}
