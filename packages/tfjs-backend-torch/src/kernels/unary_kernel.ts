// Kernels of one tensor whose result has its shape.
import type {DataType, KernelConfig, UnaryInputs} from '@tensorflow/tfjs-core';
import type {UnaryOperation} from '../binding.ts';
import {kernel} from './kernel.ts';

/** The result has the input's type, or the given one. */
export function unaryKernel(kernelName: string, operation: UnaryOperation, dtype?: DataType): KernelConfig {
  return kernel<UnaryInputs>(kernelName, ({inputs: {x}, backend}) =>
    backend.output(backend.native[operation](backend.handle(x)), x.shape, dtype ?? x.dtype),
  );
}
