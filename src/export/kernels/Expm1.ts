// Expm1 = 2 t / (1 - t) with t = tanh(x / 2), exact near zero, where exp(x) - 1 is not.
import {elementwise} from '../families/elementwise.ts';

export const expm1 = elementwise('Expm1', {
  keys: ['x'],
  emit: (e, [x]) => {
    const t = e.op('Tanh', [e.op('Mul', [x!, e.build.scalar(0.5)])]);
    const near = e.op('Div', [e.op('Mul', [t, e.build.scalar(2)]), e.op('Sub', [e.build.scalar(1), t])]);
    const far = e.op('Sub', [e.op('Exp', [x!]), e.build.scalar(1)]);
    return e.op('Where', [e.op('Less', [e.op('Abs', [x!]), e.build.scalar(0.5)]), near, far]);
  },
});
