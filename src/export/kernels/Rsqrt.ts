// Rsqrt: 1 / sqrt(x).
import {elementwise} from '../families/elementwise.ts';

export const rsqrt = elementwise('Rsqrt', {
  keys: ['x'],
  emit: (e, [x]) => e.op('Reciprocal', [e.op('Sqrt', [x!])]),
});
