// Matrix products: XNNPACK multiplies dense row-major matrices fast and TensorFlow.js sends it nothing else, so transposed
// operands are transposed first and batches are taken one by one.
import * as tf from '../../tf.ts';
import {free, original, output, reshaped, supply, type WasmBackend, withView} from './heap.ts';

/** Below this many multiply-adds per matrix the backend's own loop is as fast as setting up a product. */
const SMALL = 8192;

/** a [m, k] times b [k, n], both dense. */
export function multiply(backend: WasmBackend, a: tf.TensorInfo, b: tf.TensorInfo): tf.TensorInfo {
  return original(tf.BatchMatMul)(backend, {a, b}, {transposeA: false, transposeB: false});
}

/** [..., r, c] -> [..., c, r] in new memory. */
export function transposed(backend: WasmBackend, x: tf.TensorInfo): tf.TensorInfo {
  const [r, c] = x.shape.slice(-2) as [number, number];
  const flat = {...x, shape: [tf.util.sizeFromShape(x.shape) / (r * c), r, c]};
  const perm = flat.shape[0] === 1 ? [1, 0] : [0, 2, 1];
  const source = flat.shape[0] === 1 ? {...x, shape: [r, c]} : flat;
  const result = original(tf.Transpose)(backend, {x: source}, {perm});
  return {...result, shape: [...x.shape.slice(0, -2), c, r]};
}

export function supplyMatMul(): void {
  supply(tf.BatchMatMul, (backend, {a, b}, attrs) => {
    const {transposeA = false, transposeB = false} = attrs as {transposeA?: boolean; transposeB?: boolean};
    const product = a && b ? fast(backend, a, b, transposeA, transposeB) : undefined;
    return product ?? original(tf.BatchMatMul)(backend, {a: a!, b: b!}, attrs);
  });
}

/** Undefined where the original is to do it: broadcasting, other types, small matrices, nothing to gain. */
function fast(
  backend: WasmBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): tf.TensorInfo | undefined {
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
  const outer = a.shape.slice(0, -2);
  if (!tf.util.arraysEqual(outer, b.shape.slice(0, -2))) return undefined;
  const [k, m] = transposeA ? a.shape.slice(-2) : a.shape.slice(-2).reverse();
  const [n, kb] = transposeB ? b.shape.slice(-2) : b.shape.slice(-2).reverse();
  const batch = tf.util.sizeFromShape(outer);
  if (k !== kb || m! * n! * k! < SMALL || batch === 0) return undefined;
  if (batch === 1 && !transposeA && !transposeB) return undefined;
  const left = transposeA ? transposed(backend, a) : a;
  const right = transposeB ? transposed(backend, b) : b;
  const product = batched(backend, left, right, batch, m!, k!, n!);
  if (left !== a) free(backend, left);
  if (right !== b) free(backend, right);
  return {...product, shape: [...outer, m!, n!]};
}

function batched(
  backend: WasmBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  batch: number,
  m: number,
  k: number,
  n: number,
): tf.TensorInfo {
  if (batch === 1) return multiply(backend, {...a, shape: [m, k]}, {...b, shape: [k, n]});
  const result = output(backend, [batch, m, n]);
  for (let i = 0; i < batch; i++) {
    withView(backend, a, i * m * k, [m, k], left =>
      withView(backend, b, i * k * n, [k, n], right => {
        const product = multiply(backend, left, right);
        copyInto(backend, product, result, i * m * n);
        free(backend, product);
      }),
    );
  }
  return result;
}

function copyInto(backend: WasmBackend, from: tf.TensorInfo, to: tf.TensorInfo, at: number): void {
  const [source, target] = [from, to].map(info => backend.dataIdMap.get(info.dataId).memoryOffset) as [number, number];
  backend.wasm.HEAPU8.copyWithin(target + 4 * at, source, source + 4 * tf.util.sizeFromShape(from.shape));
}

/** [.., k] x [k, n] as one product over all rows. */
export function rowsTimes(backend: WasmBackend, rows: tf.TensorInfo, matrix: tf.TensorInfo): tf.TensorInfo {
  const [k, n] = matrix.shape as [number, number];
  const flat = reshaped(backend, rows, [tf.util.sizeFromShape(rows.shape) / k, k]);
  const product = multiply(backend, flat, matrix);
  free(backend, flat);
  return {...product, shape: [...rows.shape.slice(0, -1), n]};
}
