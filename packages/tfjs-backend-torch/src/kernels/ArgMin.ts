// Position of the smallest element along an axis; NaN never wins.
import {type ArgMinAttrs, type ArgMinInputs, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ArgMinInputs, ArgMinAttrs>('ArgMin', ({inputs: {x}, attrs, backend}) => {
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const shape = x.shape.filter((_, i) => i !== axis);
  return backend.output(backend.native.argMin(backend.handle(x), axis!), shape, 'int32');
});
