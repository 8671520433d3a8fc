// Softplus: the ONNX operator Softplus.
import {unary} from '../families/elementwise.ts';

export const softplus = unary('Softplus', 'Softplus');
