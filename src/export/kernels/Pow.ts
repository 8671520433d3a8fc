// Pow: the ONNX operator Pow, broadcasting.
import {binary} from '../families/elementwise.ts';

export const pow = binary('Pow', 'Pow');
