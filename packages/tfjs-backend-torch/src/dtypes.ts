// Element types as numbers, for the addon (native/binding.h has the same list).
import type {DataType} from '@tensorflow/tfjs-core';

export const dtypeCodes = {float32: 0, int32: 1, bool: 2, complex64: 3, string: 4} as const satisfies Record<
  DataType,
  number
>;

export type Precision = 'fp32' | 'tf32' | 'bf16';
export const precisionCodes = {fp32: 0, tf32: 1, bf16: 2} as const satisfies Record<Precision, number>;
