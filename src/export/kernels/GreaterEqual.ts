// GreaterEqual: the ONNX operator GreaterOrEqual, broadcasting.
import {binary} from '../families/elementwise.ts';

export const greaterEqual = binary('GreaterEqual', 'GreaterOrEqual', {result: 'bool'});
