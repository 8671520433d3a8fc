// Atan: the ONNX operator Atan.
import {unary} from '../families/elementwise.ts';

export const atan = unary('Atan', 'Atan');
