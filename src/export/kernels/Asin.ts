// Asin: the ONNX operator Asin.
import {unary} from '../families/elementwise.ts';

export const asin = unary('Asin', 'Asin');
