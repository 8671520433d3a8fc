// Any: the ONNX operator ReduceMax.
import {reduction} from '../families/reduce.ts';

export const any = reduction('Any', {op: 'ReduceMax', accepts: ['int32'], result: dtype => dtype});
