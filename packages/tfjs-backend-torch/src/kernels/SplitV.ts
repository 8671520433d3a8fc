// A tensor cut along an axis.
import {backend_util, type SplitVAttrs, type SplitVInputs, type Tensor, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<SplitVInputs, SplitVAttrs>('SplitV', ({inputs: {x}, attrs, backend}) => {
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const sizes = backend_util.prepareSplitSize(x as Tensor, attrs.numOrSizeSplits, axis!);
  return backend.native.split(backend.handle(x), sizes, axis!).map((handle, i) => {
    const shape = x.shape.slice();
    shape[axis!] = sizes[i]!;
    return backend.output(handle, shape, x.dtype);
  });
});
