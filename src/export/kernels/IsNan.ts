// IsNan: the ONNX operator IsNaN.
import {unary} from '../families/elementwise.ts';

export const isNan = unary('IsNan', 'IsNaN', {result: 'bool'});
