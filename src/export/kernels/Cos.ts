// Cos: the ONNX operator Cos.
import {unary} from '../families/elementwise.ts';

export const cos = unary('Cos', 'Cos');
