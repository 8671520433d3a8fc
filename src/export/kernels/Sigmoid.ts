// Sigmoid: the ONNX operator Sigmoid.
import {unary} from '../families/elementwise.ts';

export const sigmoid = unary('Sigmoid', 'Sigmoid');
