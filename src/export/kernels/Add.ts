// Add: the ONNX operator Add, broadcasting.
import {binary} from '../families/elementwise.ts';

export const add = binary('Add', 'Add');
