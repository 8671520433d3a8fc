// Prelu: x where x >= 0, alpha * x elsewhere; alpha broadcasts either way, which PRelu does not allow.
import {elementwise} from '../families/elementwise.ts';

export const prelu = elementwise('Prelu', {
  keys: ['x', 'alpha'],
  result: 'float32',
  emit: (e, [x, alpha]) => e.op('Where', [e.op('Less', [x!, e.build.scalar(0)]), e.op('Mul', [x!, alpha!]), x!]),
});
