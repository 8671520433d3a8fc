// _FusedMatMul: MatMul, bias and activation.
import {matMulSpec} from '../families/matmul.ts';

export const fusedMatMul = matMulSpec('_FusedMatMul', true);
