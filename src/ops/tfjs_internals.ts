// The one place that reaches behind TensorFlow.js's public types: its engine's tape and its wasm backend's heap.
// Written for 4.22, which package.json pins.
import * as tf from '../tf.ts';

/** One recorded operation. Inputs are named, or numbered where a kernel takes a list. */
export interface TapeNode {
  kernelName: string;
  inputs: Record<string, tf.Tensor | undefined>;
  outputs: tf.Tensor[];
  saved: tf.Tensor[];
  /** Missing where the kernel has no gradient. An output that does not reach the loss has no dy. */
  gradient?: (dys: (tf.Tensor | undefined)[]) => Record<string, () => tf.Tensor>;
}

type AddTapeNode = (
  kernelName: string,
  inputs: TapeNode['inputs'],
  outputs: tf.Tensor[],
  gradient: unknown,
  saved: tf.Tensor[],
  attrs: unknown,
) => void;

/** What this project uses of the engine that its types keep private or type for named inputs only. */
export interface EngineInternals {
  state: {gradientDepth: number; kernelDepth: number; activeTape: TapeNode[] | null};
  startTape(): void;
  endTape(): void;
  addTapeNode: AddTapeNode;
  /** Makes what TensorFlow.js saves for a gradient: a kernel call and a node on the tape for each tensor. */
  clone(x: tf.Tensor): tf.Tensor;
  backend: tf.KernelBackend;
  makeTensorFromTensorInfo(info: tf.TensorInfo): tf.Tensor;
  getTensorsForGradient: (kernelName: string, inputs: TapeNode['inputs'], outputs: tf.Tensor[]) => tf.Tensor[];
  runKernel(name: string, inputs: tf.Tensor[], attrs: object): tf.Tensor | tf.Tensor[];
  runKernelFunc(call: {
    forwardFunc: (backend: unknown, save: (tensors: tf.Tensor[]) => void) => tf.Tensor;
    backwardsFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => Record<string, () => tf.Tensor>;
    inputs: tf.Tensor[];
  }): tf.Tensor;
}

export function engineInternals(): EngineInternals {
  return tf.engine() as unknown as EngineInternals;
}

/** A tensor's place in the wasm heap. `id` is what its C++ kernels know the tensor by, and key their caches with. */
export interface WasmData {
  id: number;
  memoryOffset: number;
  refCount: number;
}

export interface WasmBackend extends tf.KernelBackend {
  wasm: {
    /** Replaced when the heap grows. */
    HEAPU8: Uint8Array;
    /** Exports of the module, its memory among them. */
    asm: Record<string, unknown>;
    tfjs: {registerTensor(id: number, size: number, offset: number): void; disposeData(id: number): void};
  };
  dataIdMap: {get(dataId: object): WasmData; delete(dataId: object): boolean};
  dataIdNextNumber: number;
  makeOutput(shape: readonly number[], dtype: tf.DataType, memoryOffset?: number): tf.TensorInfo;
}

/** The backend object given to a kernel registered for `wasm`. */
export function asWasmBackend(backend: unknown): WasmBackend {
  return backend as WasmBackend;
}

/** A kernel's inputs that are a list at run time and a map of names in the types. */
export function inputList(inputs: tf.NamedTensorInfoMap): tf.TensorInfo[] {
  return inputs as unknown as tf.TensorInfo[];
}
