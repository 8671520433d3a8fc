// Log: the ONNX operator Log.
import {unary} from '../families/elementwise.ts';

export const log = unary('Log', 'Log');
