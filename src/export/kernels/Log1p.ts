// Log1p = x log(u) / (u - 1) with u = 1 + x rounded, x itself where u is 1: exact near zero.
import {elementwise} from '../families/elementwise.ts';

export const log1p = elementwise('Log1p', {
  keys: ['x'],
  emit: (e, [x]) => {
    const one = e.build.scalar(1);
    const u = e.op('Add', [x!, one]);
    const log = e.op('Log', [u]);
    const corrected = e.op('Div', [e.op('Mul', [x!, log]), e.op('Sub', [u, one])]);
    const small = e.op('Less', [e.op('Abs', [x!]), e.build.scalar(0.5)]);
    return e.op('Where', [e.op('Equal', [u, one]), x!, e.op('Where', [small, corrected, log])]);
  },
});
