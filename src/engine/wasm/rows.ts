// Runs the row kernels of row_kernels.ts on the wasm backend's memory.
import type * as tf from '../../tf.ts';
import {assembleModule} from './assembler.ts';
import {address, floats, free, output, type WasmBackend} from './heap.ts';
import {type RowKernelName, rowKernels} from './row_kernels.ts';

type RowFunction = (rows: number, bytesPerRow: number, ...pointers: number[]) => void;

const modules = new WeakMap<object, Record<RowKernelName, RowFunction>>();

/** The functions, over this backend's memory. */
function functionsOf(backend: WasmBackend): Record<RowKernelName, RowFunction> {
  let functions = modules.get(backend);
  if (functions === undefined) {
    const exported = Object.values(backend.wasm.asm);
    const memory = exported.find(value => value instanceof WebAssembly.Memory);
    if (memory === undefined)
      throw new Error('The wasm backend exports no memory: not @tensorflow/tfjs-backend-wasm 4.22.');
    const module = new WebAssembly.Module(assembleModule(rowKernels));
    functions = new WebAssembly.Instance(module, {env: {memory}}).exports as Record<RowKernelName, RowFunction>;
    modules.set(backend, functions);
  }
  return functions;
}

/** Pointers are addresses in bytes; `channels` is a multiple of 4. */
export function runRows(
  backend: WasmBackend,
  name: RowKernelName,
  rows: number,
  channels: number,
  rowPointers: number[],
  vectorPointers: number[],
): void {
  if (rows > 0 && channels > 0) functionsOf(backend)[name](rows, 4 * channels, ...rowPointers, ...vectorPointers);
}

/** `channels` rounded up to whole groups of four. */
export function roundedUp(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}

/** x [rows, C] with zeros up to a multiple of four channels: x itself where it is one. Give it back with `freePadded`. */
export function padded(backend: WasmBackend, x: tf.TensorInfo, rows: number, channels: number): tf.TensorInfo {
  const wide = roundedUp(channels);
  if (wide === channels) return x;
  const copy = output(backend, [rows, wide]);
  const [from, to] = [floats(backend, x), floats(backend, copy)];
  to.fill(0);
  for (let r = 0; r < rows; r++) to.set(from.subarray(r * channels, (r + 1) * channels), r * wide);
  return copy;
}

export function freePadded(backend: WasmBackend, copy: tf.TensorInfo, x: tf.TensorInfo): void {
  if (copy !== x) free(backend, copy);
}

/** A tensor of `shape` from [rows, roundedUp(C)], which is given up. */
export function unpadded(backend: WasmBackend, wide: tf.TensorInfo, shape: readonly number[]): tf.TensorInfo {
  const channels = shape[shape.length - 1]!;
  const stride = roundedUp(channels);
  if (stride === channels) return {...wide, shape: [...shape]};
  const result = output(backend, shape);
  const [from, to] = [floats(backend, wide), floats(backend, result)];
  for (let r = 0; r * channels < to.length; r++) to.set(from.subarray(r * stride, r * stride + channels), r * channels);
  free(backend, wide);
  return result;
}

/** Vectors of `channels` floats, one after the other, that row kernels read and add to. */
export function vectors(backend: WasmBackend, count: number, channels: number) {
  const memory = output(backend, [count, channels]);
  return {
    pointer: (i: number) => address(backend, memory) + 4 * i * channels,
    /** Take after the last allocation. */
    at: (i: number) => floats(backend, memory).subarray(i * channels, (i + 1) * channels),
    free: () => free(backend, memory),
  };
}

// Sums are taken in float32 over this many rows, and in float64 beyond.
const CHUNK = 128;

/**
 * Column sums over many rows in float64: calls `part` for chunks of rows with the last `sums.length` vectors zeroed, and
 * adds what it left in them.
 */
export function sumInChunks(
  rows: number,
  parts: Float32Array[],
  sums: Float64Array[],
  part: (from: number, count: number) => void,
): void {
  for (const sum of sums) sum.fill(0);
  for (let from = 0; from < rows; from += CHUNK) {
    for (const vector of parts) vector.fill(0);
    part(from, Math.min(CHUNK, rows - from));
    for (let i = 0; i < sums.length; i++) {
      const [sum, vector] = [sums[i]!, parts[i]!];
      for (let c = 0; c < sum.length; c++) sum[c]! += vector[c]!;
    }
  }
}

/** A row kernel without vectors over any number of elements: the last one to three go through a buffer of four. */
export function runElements(backend: WasmBackend, name: RowKernelName, infos: tf.TensorInfo[], size: number): void {
  const whole = size - (size % 4);
  const pointers = infos.map(info => address(backend, info));
  runRows(backend, name, 1, whole, pointers, []);
  if (whole === size) return;
  const tail = vectors(backend, infos.length, 4);
  for (const [i, info] of infos.entries()) {
    tail.at(i).fill(0);
    tail.at(i).set(floats(backend, info).subarray(whole, size));
  }
  runRows(
    backend,
    name,
    1,
    4,
    infos.map((_, i) => tail.pointer(i)),
    [],
  );
  const last = infos.length - 1;
  floats(backend, infos[last]!).set(tail.at(last).subarray(0, size - whole), whole);
  tail.free();
}
