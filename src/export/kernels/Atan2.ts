// Atan2 from Atan and the quadrants.
import {elementwise} from '../families/elementwise.ts';

export const atan2 = elementwise('Atan2', {
  keys: ['a', 'b'],
  emit: (e, [y, x]) => {
    const zero = e.build.scalar(0);
    const half = e.build.scalar(Math.PI / 2);
    const pi = e.build.scalar(Math.PI);
    const left = e.op('Less', [x!, zero]);
    const below = e.op('Less', [y!, zero]);
    const turned = e.op('Where', [below, e.op('Neg', [pi]), pi]);
    const base = e.op('Atan', [e.op('Div', [y!, x!])]);
    const general = e.op('Add', [base, e.op('Where', [left, turned, zero])]);
    const onAxis = e.op('Where', [below, e.op('Neg', [half]), e.op('Where', [e.op('Equal', [y!, zero]), zero, half])]);
    return e.op('Where', [e.op('Equal', [x!, zero]), onAxis, general]);
  },
});
