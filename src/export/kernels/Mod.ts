// Mod: the remainder with the sign of the divisor.
import {elementwise} from '../families/elementwise.ts';

export const mod = elementwise('Mod', {
  keys: ['a', 'b'],
  accepts: ['float32', 'int32'],
  emit: (e, [a, b], _, dtype) => {
    if (dtype === 'int32') return e.op('Mod', [a!, b!]);
    const rem = e.op('Mod', [a!, b!], {fmod: 1});
    const zero = e.build.scalar(0);
    const same = e.op('Equal', [e.op('Less', [a!, zero]), e.op('Less', [b!, zero])]);
    return e.op('Where', [same, rem, e.op('Mod', [e.op('Add', [rem, b!]), b!], {fmod: 1})]);
  },
});
