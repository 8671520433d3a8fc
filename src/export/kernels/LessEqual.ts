// LessEqual: the ONNX operator LessOrEqual, broadcasting.
import {binary} from '../families/elementwise.ts';

export const lessEqual = binary('LessEqual', 'LessOrEqual', {result: 'bool'});
