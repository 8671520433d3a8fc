// LogicalOr: the ONNX operator Or, broadcasting.
import {binary} from '../families/elementwise.ts';

export const logicalOr = binary('LogicalOr', 'Or', {accepts: ['bool'], result: 'bool'});
