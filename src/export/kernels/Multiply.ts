// Multiply: the ONNX operator Mul, broadcasting.
import {binary} from '../families/elementwise.ts';

export const multiply = binary('Multiply', 'Mul');
