// BitwiseAnd: the operator of opset 18, before it the sum of the bits that both have.
import {elementwise} from '../families/elementwise.ts';

export const bitwiseAnd = elementwise('BitwiseAnd', {
  keys: ['a', 'b'],
  accepts: ['int32'],
  emit: (e, [a, b]) => {
    if (e.opset >= 18) return e.op('BitwiseAnd', [a!, b!]);
    const places = Array.from({length: 32}, (_, i) => i);
    const bits = (x: string) => {
      const column = e.op('Unsqueeze', [e.op('Cast', [x], {to: 12}), e.build.ints([-1])]); // uint32
      const shifts = e.op('Cast', [e.build.ints(places)], {to: 12});
      const shifted = e.op('BitShift', [column, shifts], {direction: 'RIGHT'});
      const halved = e.op('BitShift', [shifted, e.op('Cast', [e.build.ints([1])], {to: 12})], {direction: 'RIGHT'});
      return e.op('Sub', [e.cast(shifted, 'int64'), e.op('Mul', [e.cast(halved, 'int64'), e.build.ints([2])])]);
    };
    const both = e.op('Mul', [bits(a!), bits(b!)]);
    const weights = e.build.ints(places.map(p => (p === 31 ? -(2 ** 31) : 2 ** p)));
    const sum = e.op('ReduceSum', [e.op('Mul', [both, weights]), e.build.ints([-1])], {keepdims: 0});
    return e.cast(sum, 'int32');
  },
});
