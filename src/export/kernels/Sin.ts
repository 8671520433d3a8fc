// Sin: the ONNX operator Sin.
import {unary} from '../families/elementwise.ts';

export const sin = unary('Sin', 'Sin');
