// Tensors joined along an axis.
import {backend_util, type ConcatAttrs, type ConcatInputs, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ConcatInputs, ConcatAttrs>('Concat', ({inputs, attrs, backend}) => {
  const [axis] = util.parseAxisParam(attrs.axis, inputs[0]!.shape);
  const shapes = inputs.map(x => x.shape);
  backend_util.assertParamsConsistent(shapes, axis!);
  const shape = backend_util.computeOutShape(shapes, axis!);
  const full = inputs.filter(x => util.sizeFromShape(x.shape) > 0);
  const parts = full.length > 0 ? full : inputs;
  if (parts.length === 1) return backend.alias(parts[0]!, shape);
  return backend.output(backend.native.concat(backend.handles(parts), axis!), shape, inputs[0]!.dtype);
});
