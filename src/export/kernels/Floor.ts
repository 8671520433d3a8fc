// Floor: the ONNX operator Floor.
import {unary} from '../families/elementwise.ts';

export const floor = unary('Floor', 'Floor');
