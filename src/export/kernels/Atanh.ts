// Atanh: the ONNX operator Atanh.
import {unary} from '../families/elementwise.ts';

export const atanh = unary('Atanh', 'Atanh');
