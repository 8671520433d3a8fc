// Cosh: the ONNX operator Cosh.
import {unary} from '../families/elementwise.ts';

export const cosh = unary('Cosh', 'Cosh');
