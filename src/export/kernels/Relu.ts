// Relu: the ONNX operator Relu.
import {unary} from '../families/elementwise.ts';

export const relu = unary('Relu', 'Relu', {accepts: ['float32', 'int32']});
