// Reductions over axes. The kept axes have size 1, or are gone.
import {backend_util, type DataType, type KernelConfig, type TensorInfo, util} from '@tensorflow/tfjs-core';
import type {ReduceOperation} from '../binding.ts';
import {kernel} from './kernel.ts';

interface ReduceAttrs {
  axis?: number | number[];
  /** What TensorFlow.js's max calls its axes. */
  reductionIndices?: number | number[];
  keepDims?: boolean;
}

/** `dtypeOf` gives the result's type from the input's. */
export function reduceKernel(
  kernelName: string,
  operation: ReduceOperation,
  dtypeOf: (dtype: DataType) => DataType,
): KernelConfig {
  return kernel<{x: TensorInfo}, ReduceAttrs>(kernelName, ({inputs: {x}, attrs, backend}) => {
    const {keepDims} = attrs;
    const axes = util.parseAxisParam((attrs.axis ?? attrs.reductionIndices)!, x.shape);
    const [kept] = backend_util.computeOutAndReduceShapes(x.shape, axes);
    const shape = keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept;
    return backend.outputAs(backend.native[operation](backend.handle(x), axes), kept, shape, dtypeOf(x.dtype));
  });
}
