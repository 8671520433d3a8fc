// BatchMatMul: MatMul; a transposed operand is asked for in that storage order, which costs nothing for a weight.
import {matMulSpec} from '../families/matmul.ts';

export const batchMatMul = matMulSpec('BatchMatMul', false);
