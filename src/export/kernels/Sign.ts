// Sign: the ONNX operator Sign.
import {unary} from '../families/elementwise.ts';

export const sign = unary('Sign', 'Sign', {accepts: ['float32', 'int32']});
