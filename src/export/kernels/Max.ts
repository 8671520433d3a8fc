// Max: the ONNX operator ReduceMax.
import {reduction} from '../families/reduce.ts';

export const max = reduction('Max', {op: 'ReduceMax', accepts: ['int32', 'float32'], result: dtype => dtype});
