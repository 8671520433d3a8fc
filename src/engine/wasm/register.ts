// The kernels supplied to TensorFlow.js's wasm backend.
import * as tf from '../../tf.ts';

let supplied = false;
export function supplyWasmKernels(): void {
  if (supplied) return;
  supplied = true;
  void tf;
}
