// Elements of t where the condition holds, of e elsewhere. A condition of rank 1 chooses whole rows.
import {type SelectInputs, upcastType} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<SelectInputs>('Select', ({inputs: {condition, t, e}, backend}) =>
  backend.output(
    backend.native.select(backend.handle(condition), backend.handle(t), backend.handle(e)),
    t.shape,
    upcastType(t.dtype, e.dtype),
  ),
);
