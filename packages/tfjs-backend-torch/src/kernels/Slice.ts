// A box cut out of a tensor.
import {type SliceAttrs, type SliceInputs, slice_util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<SliceInputs, SliceAttrs>('Slice', ({inputs: {x}, attrs, backend}) => {
  const [begin, size] = slice_util.parseSliceParams(x, attrs.begin, attrs.size) as [number[], number[]];
  slice_util.assertParamsValid(x, begin, size);
  return backend.chosenFrom(x, backend.output(backend.native.slice(backend.handle(x), begin, size), size, x.dtype));
});
