// Min: the ONNX operator ReduceMin.
import {reduction} from '../families/reduce.ts';

export const min = reduction('Min', {op: 'ReduceMin', accepts: ['int32', 'float32'], result: dtype => dtype});
