// AddN: the variadic Sum.
import {elementwise} from '../families/elementwise.ts';

export const addN = elementwise('AddN', {
  accepts: ['float32', 'int32'],
  emit: (e, operands, _, dtype) =>
    dtype === 'float32' ? e.op('Sum', operands) : operands.reduce((a, b) => e.op('Add', [a, b])),
});
