// Acosh: the ONNX operator Acosh.
import {unary} from '../families/elementwise.ts';

export const acosh = unary('Acosh', 'Acosh');
