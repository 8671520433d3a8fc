// Mean: the ONNX operator ReduceMean.
import {reduction} from '../families/reduce.ts';

export const mean = reduction('Mean', {op: 'ReduceMean', accepts: ['float32'], result: () => 'float32'});
