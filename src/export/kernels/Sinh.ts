// Sinh: the ONNX operator Sinh.
import {unary} from '../families/elementwise.ts';

export const sinh = unary('Sinh', 'Sinh');
