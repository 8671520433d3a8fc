// Acos: the ONNX operator Acos.
import {unary} from '../families/elementwise.ts';

export const acos = unary('Acos', 'Acos');
