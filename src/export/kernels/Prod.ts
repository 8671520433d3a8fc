// Prod: the ONNX operator ReduceProd.
import {reduction} from '../families/reduce.ts';

export const prod = reduction('Prod', {
  op: 'ReduceProd',
  accepts: ['int32', 'float32'],
  result: dtype => (dtype === 'bool' ? 'int32' : dtype),
});
