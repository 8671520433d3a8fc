// Tensors of one shape stacked along a new axis.
import {type PackAttrs, type PackInputs, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<PackInputs, PackAttrs>('Pack', ({inputs, attrs: {axis}, backend}) => {
  const [first] = inputs as [PackInputs[number]];
  for (const x of inputs) {
    util.assertShapesMatch(first.shape, x.shape, 'All tensors passed to stack must have matching shapes');
    util.assert(first.dtype === x.dtype, () => 'All tensors passed to stack must have matching dtypes');
  }
  const at = axis < 0 ? axis + first.shape.length + 1 : axis;
  const shape = [...first.shape.slice(0, at), inputs.length, ...first.shape.slice(at)];
  return backend.output(backend.native.stack(backend.handles(inputs), at), shape, first.dtype);
});
