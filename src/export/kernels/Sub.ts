// Sub: the ONNX operator Sub, broadcasting.
import {binary} from '../families/elementwise.ts';

export const sub = binary('Sub', 'Sub');
