// Numbers from start in steps, up to but without stop. A step in the wrong direction gives none; 1 counts down as well.
import type {RangeAttrs} from '@tensorflow/tfjs-core';
import {dtypeCodes} from '../dtypes.ts';
import {kernel} from './kernel.ts';

export default kernel<Record<string, never>, RangeAttrs>('Range', ({attrs: {start, stop, step, dtype}, backend}) => {
  const empty = start === stop || (start < stop && step < 0) || (stop < start && step > 1);
  const direction = stop < start && step === 1 ? -1 : step;
  const count = empty ? 0 : Math.abs(Math.ceil((stop - start) / direction));
  return backend.output(backend.native.progression(start, direction, count, dtypeCodes[dtype]), [count], dtype);
});
