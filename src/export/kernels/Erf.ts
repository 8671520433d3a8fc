// Erf: the ONNX operator Erf.
import {unary} from '../families/elementwise.ts';

export const erf = unary('Erf', 'Erf');
