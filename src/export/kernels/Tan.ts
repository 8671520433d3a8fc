// Tan: the ONNX operator Tan.
import {unary} from '../families/elementwise.ts';

export const tan = unary('Tan', 'Tan');
