// Tanh: the ONNX operator Tanh.
import {unary} from '../families/elementwise.ts';

export const tanh = unary('Tanh', 'Tanh');
