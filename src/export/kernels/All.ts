// All: the ONNX operator ReduceMin.
import {reduction} from '../families/reduce.ts';

export const all = reduction('All', {op: 'ReduceMin', accepts: ['int32'], result: dtype => dtype});
