// Evenly spaced numbers from start to stop, both included.
import type {LinSpaceAttrs} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<Record<string, never>, LinSpaceAttrs>('LinSpace', ({attrs: {start, stop, num}, backend}) => {
  const step = num > 1 ? (stop - start) / (num - 1) : 0;
  return backend.output(backend.native.progression(start, step, num, dtypeCodes.float32), [num], 'float32');
});
