// AlphaMix and AlphaMixGrad: one multiplier per frame, spread over short rows so that the row kernels serve.
import * as tf from '../../tf.ts';
import {address, floats, output, supplyFused, type WasmBackend} from './heap.ts';
import {freePadded, padded, roundedUp, runRows, sumInChunks, unpadded, vectors} from './rows.ts';

interface Frames {
  /** Blocks that one alpha covers, in order; alpha of block i is that of frame i modulo its count. */
  blocks: number;
  rows: number;
  channels: number;
  wide: number;
  alphas: number[];
}

function framesOf(backend: WasmBackend, x: tf.TensorInfo, mixFactor: tf.TensorInfo, switched: boolean): Frames {
  const channels = x.shape[x.shape.length - 1]!;
  const perFrame = tf.util.sizeFromShape(mixFactor.shape) > 1;
  const blocks = perFrame ? x.shape[0]! * x.shape[1]! : 1;
  const rows = tf.util.sizeFromShape(x.shape) / (blocks * channels);
  const alphas = Array.from(floats(backend, mixFactor), factor => {
    const s = Math.fround(1 / (1 + Math.exp(-factor)));
    return switched ? Math.fround(1 - s) : s;
  });
  return {blocks, rows, channels, wide: roundedUp(channels), alphas};
}

export function supplyAlphaMix(): void {
  supplyFused<{switched: boolean}>('AlphaMix', (backend, [spatial, temporal, mixFactor], {switched}) => {
    const {blocks, rows, channels, wide, alphas} = framesOf(backend, spatial!, mixFactor!, switched);
    const [s, t] = [spatial!, temporal!].map(x => padded(backend, x, blocks * rows, channels)) as [
      tf.TensorInfo,
      tf.TensorInfo,
    ];
    const y = output(backend, [blocks * rows, wide]);
    const v = vectors(backend, 2, wide);
    for (let i = 0; i < blocks; i++) {
      const alpha = alphas[i % alphas.length]!;
      v.at(0).fill(alpha);
      v.at(1).fill(1 - alpha);
      const pointers = [s, t, y].map(info => address(backend, info) + 4 * i * rows * wide);
      runRows(backend, 'mix', rows, wide, pointers, [v.pointer(0), v.pointer(1)]);
    }
    v.free();
    freePadded(backend, s, spatial!);
    freePadded(backend, t, temporal!);
    return [unpadded(backend, y, spatial!.shape)];
  });

  supplyFused<{switched: boolean; mixFactor: boolean}>('AlphaMixGrad', (backend, inputs, {switched, mixFactor}) => {
    const [dy, spatial, temporal, factor] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];
    const {blocks, rows, channels, wide, alphas} = framesOf(backend, dy, factor, switched);
    const outputs = [output(backend, [blocks * rows, wide]), output(backend, [blocks * rows, wide])];
    const dFactor = mixFactor ? [output(backend, factor.shape)] : [];
    const upstream = padded(backend, dy, blocks * rows, channels);
    const branches = mixFactor ? [spatial, temporal].map(x => padded(backend, x, blocks * rows, channels)) : [];
    const v = vectors(backend, 3, wide);
    const along = alphas.map(() => 0);
    const sum = new Float64Array(wide);
    for (let i = 0; i < blocks; i++) {
      const frame = i % alphas.length;
      const alpha = alphas[frame]!;
      const offset = 4 * i * rows * wide;
      const from = address(backend, upstream) + offset;
      for (const [j, weight] of [alpha, 1 - alpha].entries()) {
        v.at(j).fill(weight);
        runRows(backend, 'scale', rows, wide, [from, address(backend, outputs[j]!) + offset], [v.pointer(j)]);
      }
      if (!mixFactor) continue;
      const pointers = [upstream, ...branches].map(info => address(backend, info) + offset);
      sumInChunks(rows, [v.at(2)], [sum], (first, many) =>
        runRows(
          backend,
          'mixSum',
          many,
          wide,
          pointers.map(p => p + 4 * first * wide),
          [v.pointer(2)],
        ),
      );
      for (const part of sum) along[frame]! += part;
    }
    for (const info of dFactor) {
      floats(backend, info).set(along.map((sum, i) => sum * alphas[i]! * (1 - alphas[i]!) * (switched ? -1 : 1)));
    }
    v.free();
    freePadded(backend, upstream, dy);
    for (const [i, branch] of branches.entries()) freePadded(backend, branch, [spatial, temporal][i]!);
    return [...outputs.map(info => unpadded(backend, info, dy.shape)), ...dFactor];
  });
}
