// Running product along an axis.
import {type CumprodAttrs, type CumprodInputs, upcastType, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<CumprodInputs, CumprodAttrs>(
  'Cumprod',
  ({inputs: {x}, attrs: {axis, exclusive, reverse}, backend}) => {
    const [along] = util.parseAxisParam([axis], x.shape);
    const handle = backend.native.cumprod(backend.handle(x), along ?? 0, Boolean(exclusive), Boolean(reverse));
    return backend.output(handle, x.shape, upcastType(x.dtype, 'int32'));
  },
);
