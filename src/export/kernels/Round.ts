// Round: the ONNX operator Round.
import {unary} from '../families/elementwise.ts';

export const round = unary('Round', 'Round');
