// Matrix product, bias and activation.
import type {_FusedMatMulAttrs, _FusedMatMulInputs} from '@tensorflow/tfjs-core';
import {activationCode} from './activation.ts';
import {kernel} from './kernel.ts';
import {matmulShapes} from './matmul_shapes.ts';

export default kernel<_FusedMatMulInputs, _FusedMatMulAttrs>(
  '_FusedMatMul',
  ({inputs: {a, b, bias, preluActivationWeights}, attrs, backend}) => {
    const {transposeA, transposeB, activation, leakyreluAlpha} = attrs;
    const {left, right, flat, shape} = matmulShapes(a.shape, b.shape, transposeA, transposeB);
    const handle = backend.native.fusedMatmul(
      backend.handle({...a, shape: left}),
      backend.handle({...b, shape: right}),
      transposeA,
      transposeB,
      backend.optionalHandle(bias),
      activationCode(activation),
      backend.optionalHandle(preluActivationWeights),
      leakyreluAlpha ?? 0,
    );
    return backend.outputAs(handle, flat, shape, a.dtype);
  },
);
