// A tensor of one value, strings included.
import {type FillAttrs, util} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<Record<string, never>, FillAttrs>('Fill', ({attrs, backend}) => {
  const {shape, value} = attrs;
  const dtype = attrs.dtype || util.inferDtype(value);
  if (dtype !== 'string')
    return backend.output(backend.native.fill(shape, Number(value), dtypeCodes[dtype]), shape, dtype);
  const [index] = backend.strings.intern([util.encodeString(String(value))]);
  return backend.output(backend.native.fill(shape, index!, dtypeCodes.string), shape, dtype);
});
