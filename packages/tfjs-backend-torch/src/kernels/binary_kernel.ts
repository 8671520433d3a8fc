// Kernels of two tensors that broadcast against each other.
import {type BinaryInputs, backend_util, type DataType, type KernelConfig} from '@tensorflow/tfjs-core';
import type {BinaryOperation} from '../binding.ts';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

/** The result has the first input's type, or the given one. */
export function binaryKernel(kernelName: string, operation: BinaryOperation, dtype?: DataType): KernelConfig {
  return kernel<BinaryInputs>(kernelName, ({inputs: {a, b}, backend}) => {
    const shape = broadcastShape(a.shape, b.shape);
    return backend.output(backend.native[operation](backend.handle(a), backend.handle(b)), shape, dtype ?? a.dtype);
  });
}

/** A comparison by order: strings are compared by their rank among all strings. */
export function orderKernel(kernelName: string, operation: BinaryOperation): KernelConfig {
  return kernel<BinaryInputs>(kernelName, ({inputs: {a, b}, backend}) => {
    const shape = broadcastShape(a.shape, b.shape);
    if (a.dtype !== 'string') {
      return backend.output(backend.native[operation](backend.handle(a), backend.handle(b)), shape, 'bool');
    }
    const {native} = backend;
    const ranks = backend.strings.ranks();
    const table = native.upload(ranks, [ranks.length], dtypeCodes.int32);
    const left = native.gather(table, backend.handle(a), 0, 0, true);
    const right = native.gather(table, backend.handle(b), 0, 0, true);
    const result = native[operation](left, right);
    for (const handle of [table, left, right]) native.release(handle);
    return backend.output(result, shape, 'bool');
  });
}

export function broadcastShape(a: number[], b: number[]): number[] {
  if (a.length === b.length && a.every((extent, i) => extent === b[i])) return a;
  return backend_util.assertAndGetBroadcastShape(a, b);
}
