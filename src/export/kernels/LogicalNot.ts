// LogicalNot: the ONNX operator Not.
import {unary} from '../families/elementwise.ts';

export const logicalNot = unary('LogicalNot', 'Not', {accepts: ['bool'], result: 'bool'});
