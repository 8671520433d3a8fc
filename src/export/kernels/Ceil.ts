// Ceil: the ONNX operator Ceil.
import {unary} from '../families/elementwise.ts';

export const ceil = unary('Ceil', 'Ceil');
