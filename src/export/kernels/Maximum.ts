// Maximum: the ONNX operator Max, broadcasting.
import {binary} from '../families/elementwise.ts';

export const maximum = binary('Maximum', 'Max');
