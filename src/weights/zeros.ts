// Values that nobody reads, for counting models without loading them.
import {elements} from './host_tensor.ts';

let sharedZeros = new Float32Array(0);

/** Zeros of this shape, all of them in the same memory, which the system gives out only when it is touched. Not to be written. */
export function zerosOf(shape: readonly number[]): Float32Array {
  const size = elements(shape);
  if (sharedZeros.length < size) sharedZeros = new Float32Array(size);
  return sharedZeros.subarray(0, size);
}
