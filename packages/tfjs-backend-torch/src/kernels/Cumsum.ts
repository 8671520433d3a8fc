// Running sum along an axis.
import {type CumsumAttrs, type CumsumInputs, upcastType, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<CumsumInputs, CumsumAttrs>(
  'Cumsum',
  ({inputs: {x}, attrs: {axis, exclusive, reverse}, backend}) => {
    const [along] = util.parseAxisParam([axis], x.shape);
    const handle = backend.native.cumsum(backend.handle(x), along ?? 0, Boolean(exclusive), Boolean(reverse));
    return backend.output(handle, x.shape, upcastType(x.dtype, 'int32'));
  },
);
