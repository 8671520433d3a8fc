// Equal: the ONNX operator Equal, broadcasting.
import {binary} from '../families/elementwise.ts';

export const equal = binary('Equal', 'Equal', {accepts: ['float32', 'int32', 'bool'], result: 'bool'});
