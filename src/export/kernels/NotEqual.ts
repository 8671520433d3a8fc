// NotEqual: not Equal.
import {elementwise} from '../families/elementwise.ts';

export const notEqual = elementwise('NotEqual', {
  keys: ['a', 'b'],
  accepts: ['float32', 'int32', 'bool'],
  result: 'bool',
  emit: (e, operands) => e.op('Not', [e.op('Equal', operands)]),
});
