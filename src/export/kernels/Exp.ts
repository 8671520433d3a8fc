// Exp: the ONNX operator Exp.
import {unary} from '../families/elementwise.ts';

export const exp = unary('Exp', 'Exp', {result: 'float32'});
