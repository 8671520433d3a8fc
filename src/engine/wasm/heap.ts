// Tensors in the wasm heap: views, outputs, and the backend's own kernels to build others from.
import {asWasmBackend, inputList, type WasmBackend} from '../../ops/tfjs_internals.ts';
import * as tf from '../../tf.ts';

export type {WasmBackend} from '../../ops/tfjs_internals.ts';

/** Address in bytes. Allocating does not move it. */
export function address(backend: WasmBackend, info: tf.TensorInfo): number {
  return backend.dataIdMap.get(info.dataId).memoryOffset;
}

/** The tensor's floats. Take it after the last allocation: growing the heap detaches every view. */
export function floats(backend: WasmBackend, info: tf.TensorInfo): Float32Array {
  return new Float32Array(backend.wasm.HEAPU8.buffer, address(backend, info), tf.util.sizeFromShape(info.shape));
}

/** An uninitialised float32 tensor. */
export function output(backend: WasmBackend, shape: readonly number[]): tf.TensorInfo {
  return backend.makeOutput([...shape], 'float32');
}

export function free(backend: WasmBackend, ...infos: tf.TensorInfo[]): void {
  for (const info of infos) backend.disposeData(info.dataId);
}

/** The same memory under another shape, as one more reference. */
export function reshaped(backend: WasmBackend, info: tf.TensorInfo, shape: readonly number[]): tf.TensorInfo {
  backend.incRef(info.dataId);
  return {dataId: info.dataId, dtype: info.dtype, shape: [...shape]};
}

/** Part of a tensor's memory, from element `from`, lent to `use` as a tensor of its own. */
export function withView<R>(
  backend: WasmBackend,
  info: tf.TensorInfo,
  from: number,
  shape: readonly number[],
  use: (view: tf.TensorInfo) => R,
): R {
  const view = backend.makeOutput([...shape], 'float32', address(backend, info) + 4 * from);
  try {
    return use(view);
  } finally {
    backend.wasm.tfjs.disposeData(backend.dataIdMap.get(view.dataId).id);
    backend.dataIdMap.delete(view.dataId);
  }
}

type Kernel = (backend: WasmBackend, inputs: tf.NamedTensorInfoMap, attrs: Record<string, unknown>) => tf.TensorInfo;

const originals = new Map<string, Kernel>();

/** A kernel as TensorFlow.js ships it, also after this project has put its own in its place. */
export function original(name: string): Kernel {
  let kernel = originals.get(name);
  if (kernel === undefined) {
    const {kernelFunc} = tf.getKernel(name, 'wasm')!;
    kernel = (backend, inputs, attrs) =>
      kernelFunc({inputs, backend, attrs: attrs as tf.NamedAttrMap}) as tf.TensorInfo;
    originals.set(name, kernel);
  }
  return kernel;
}

/** Puts a kernel in the place of the backend's own, or where it has none. */
export function supply(name: string, kernel: Kernel): void {
  if (tf.getKernel(name, 'wasm')) {
    original(name);
    tf.unregisterKernel(name, 'wasm');
  }
  tf.registerKernel({
    kernelName: name,
    backendName: 'wasm',
    kernelFunc: ({inputs, backend, attrs}) =>
      kernel(asWasmBackend(backend), inputs as tf.NamedTensorInfoMap, attrs as Record<string, unknown>),
  });
}

/** Registers one of the kernels of src/ops/kernel_contracts.ts: inputs and outputs are lists. */
export function supplyFused<A>(
  name: string,
  kernel: (backend: WasmBackend, inputs: tf.TensorInfo[], attrs: A) => tf.TensorInfo[],
): void {
  tf.registerKernel({
    kernelName: name,
    backendName: 'wasm',
    kernelFunc: ({inputs, backend, attrs}) =>
      kernel(asWasmBackend(backend), inputList(inputs as tf.NamedTensorInfoMap), attrs as A),
  });
}
