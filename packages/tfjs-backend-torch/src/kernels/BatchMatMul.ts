// Matrix products with broadcast batches.
import type {BatchMatMulAttrs, BatchMatMulInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import {matmulShapes} from './matmul_shapes.ts';

export default kernel<BatchMatMulInputs, BatchMatMulAttrs>(
  'BatchMatMul',
  ({inputs: {a, b}, attrs: {transposeA, transposeB}, backend}) => {
    const {left, right, flat, shape} = matmulShapes(a.shape, b.shape, transposeA, transposeB);
    const handle = backend.native.matmul(
      backend.handle({...a, shape: left}),
      backend.handle({...b, shape: right}),
      transposeA,
      transposeB,
    );
    return backend.outputAs(handle, flat, shape, a.dtype);
  },
);
