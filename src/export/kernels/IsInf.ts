// IsInf: the ONNX operator IsInf.
import {unary} from '../families/elementwise.ts';

export const isInf = unary('IsInf', 'IsInf', {result: 'bool'});
