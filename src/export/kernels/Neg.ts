// Neg: the ONNX operator Neg.
import {unary} from '../families/elementwise.ts';

export const neg = unary('Neg', 'Neg', {accepts: ['float32', 'int32']});
