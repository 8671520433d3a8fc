// Position of the largest element along an axis; NaN never wins.
import {type ArgMaxAttrs, type ArgMaxInputs, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ArgMaxInputs, ArgMaxAttrs>('ArgMax', ({inputs: {x}, attrs, backend}) => {
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const shape = x.shape.filter((_, i) => i !== axis);
  return backend.output(backend.native.argMax(backend.handle(x), axis!), shape, 'int32');
});
