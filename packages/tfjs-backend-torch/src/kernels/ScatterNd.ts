// Updates added into zeros at given places.
import type {ScatterNdAttrs, ScatterNdInputs} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<ScatterNdInputs, ScatterNdAttrs>(
  'ScatterNd',
  ({inputs: {indices, updates}, attrs: {shape}, backend}) => {
    const zeros = backend.native.fill(shape, 0, dtypeCodes[updates.dtype]);
    try {
      const handle = backend.native.scatterNd(zeros, backend.handle(indices), backend.handle(updates), true);
      return backend.output(handle, shape, updates.dtype);
    } finally {
      backend.native.release(zeros);
    }
  },
);
