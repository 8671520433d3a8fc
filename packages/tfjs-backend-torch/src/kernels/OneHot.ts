// Indices as rows that hold one value at the index and another elsewhere.
import type {OneHotAttrs, OneHotInputs} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<OneHotInputs, OneHotAttrs>(
  'OneHot',
  ({inputs: {indices}, attrs: {depth, onValue, offValue, dtype}, backend}) =>
    backend.output(
      backend.native.oneHot(backend.handle(indices), depth, onValue, offValue, dtypeCodes[dtype]),
      [...indices.shape, depth],
      dtype,
    ),
);
