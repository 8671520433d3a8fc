// FloorDiv: the quotient rounded down, always int32 in TensorFlow.js.
import {elementwise} from '../families/elementwise.ts';

export const floorDiv = elementwise('FloorDiv', {
  keys: ['a', 'b'],
  accepts: ['int32', 'float32'],
  result: 'int32',
  emit: (e, [a, b], _, dtype) => {
    if (dtype === 'float32') return e.cast(e.op('Floor', [e.op('Div', [a!, b!])]), 'int32');
    // Integer Div rounds towards zero; Mod takes the sign of the divisor, so what is left divides exactly.
    return e.op('Div', [e.op('Sub', [a!, e.op('Mod', [a!, b!])]), b!]);
  },
});
