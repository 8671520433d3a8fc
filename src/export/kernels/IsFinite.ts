// IsFinite: neither infinite nor NaN.
import {elementwise} from '../families/elementwise.ts';

export const isFiniteKernel = elementwise('IsFinite', {
  keys: ['x'],
  result: 'bool',
  emit: (e, operands) => e.op('Not', [e.op('Or', [e.op('IsInf', operands), e.op('IsNaN', operands)])]),
});
