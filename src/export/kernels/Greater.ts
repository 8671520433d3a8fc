// Greater: the ONNX operator Greater, broadcasting.
import {binary} from '../families/elementwise.ts';

export const greater = binary('Greater', 'Greater', {result: 'bool'});
