// Less: the ONNX operator Less, broadcasting.
import {binary} from '../families/elementwise.ts';

export const less = binary('Less', 'Less', {result: 'bool'});
