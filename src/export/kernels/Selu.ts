// Selu: the ONNX operator Selu.
import {unary} from '../families/elementwise.ts';

export const selu = unary('Selu', 'Selu');
