// A matrix or filter in the type and layout in which products or convolutions read it.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo];

export default kernel<Inputs, Record<string, never>>('FrozenStorage', ({inputs: [x], backend}) => {
  const isFilter = x.shape.length > 3 && x.shape.slice(0, -2).some(extent => extent > 1);
  const {frozenFilter, frozenMatrix} = backend.native;
  const stored = isFilter ? frozenFilter(backend.handle(x)) : frozenMatrix(backend.handle(x));
  return [backend.output(stored, x.shape, x.dtype)];
});
