// Minimum: the ONNX operator Min, broadcasting.
import {binary} from '../families/elementwise.ts';

export const minimum = binary('Minimum', 'Min');
