// SquaredDifference: (a - b)^2.
import {elementwise} from '../families/elementwise.ts';

export const squaredDifference = elementwise('SquaredDifference', {
  keys: ['a', 'b'],
  accepts: ['float32', 'int32'],
  emit: (e, operands) => {
    const d = e.op('Sub', operands);
    return e.op('Mul', [d, d]);
  },
});
