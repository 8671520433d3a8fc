// LogicalAnd: the ONNX operator And, broadcasting.
import {binary} from '../families/elementwise.ts';

export const logicalAnd = binary('LogicalAnd', 'And', {accepts: ['bool'], result: 'bool'});
