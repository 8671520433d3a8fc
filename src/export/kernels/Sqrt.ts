// Sqrt: the ONNX operator Sqrt.
import {unary} from '../families/elementwise.ts';

export const sqrt = unary('Sqrt', 'Sqrt');
