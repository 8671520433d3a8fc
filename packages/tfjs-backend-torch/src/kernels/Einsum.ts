// Products summed over named axes.
import {backend_util, type EinsumAttrs, type EinsumInputs, type Tensor} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<EinsumInputs, EinsumAttrs>('Einsum', ({inputs, attrs: {equation}, backend}) => {
  const {allDims, idDims} = backend_util.decodeEinsumEquation(equation, inputs.length);
  backend_util.checkEinsumDimSizes(allDims.length, idDims, inputs as Tensor[]);
  const [terms, result] = equation.replace(/\s/g, '').split('->') as [string, string];
  const sizes = new Map<string, number>();
  terms.split(',').forEach((term, i) => {
    [...term].forEach((label, axis) => {
      sizes.set(label, inputs[i]!.shape[axis]!);
    });
  });
  const shape = [...result].map(label => sizes.get(label)!);
  return backend.output(backend.native.einsum(`${terms}->${result}`, backend.handles(inputs)), shape, inputs[0]!.dtype);
});
