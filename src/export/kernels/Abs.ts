// Abs: the ONNX operator Abs.
import {unary} from '../families/elementwise.ts';

export const abs = unary('Abs', 'Abs', {accepts: ['float32', 'int32']});
