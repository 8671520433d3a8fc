// Asinh: the ONNX operator Asinh.
import {unary} from '../families/elementwise.ts';

export const asinh = unary('Asinh', 'Asinh');
