// Sum: the ONNX operator ReduceSum.
import {reduction} from '../families/reduce.ts';

export const sum = reduction('Sum', {
  op: 'ReduceSum',
  accepts: ['int32', 'float32'],
  result: dtype => (dtype === 'bool' ? 'int32' : dtype),
});
