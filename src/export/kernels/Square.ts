// Square: a product with itself.
import {elementwise} from '../families/elementwise.ts';

export const square = elementwise('Square', {
  keys: ['x'],
  accepts: ['float32', 'int32'],
  emit: (e, [x]) => e.op('Mul', [x!, x!]),
});
