// Elu: the ONNX operator Elu.
import {unary} from '../families/elementwise.ts';

export const elu = unary('Elu', 'Elu');
