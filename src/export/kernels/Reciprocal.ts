// Reciprocal: the ONNX operator Reciprocal.
import {unary} from '../families/elementwise.ts';

export const reciprocal = unary('Reciprocal', 'Reciprocal');
