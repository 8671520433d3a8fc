// EluGrad: dy where y >= 0, dy * (y + 1) elsewhere.
import {elementwise} from '../families/elementwise.ts';

export const eluGrad = elementwise('EluGrad', {
  keys: ['dy', 'y'],
  emit: (e, [dy, y]) => {
    const slope = e.op('Add', [y!, e.build.scalar(1)]);
    return e.op('Mul', [dy!, e.op('Where', [e.op('Less', [y!, e.build.scalar(0)]), slope, e.build.scalar(1)])]);
  },
});
