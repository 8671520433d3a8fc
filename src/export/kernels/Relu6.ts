// Relu6: clipped to [0, 6].
import {elementwise} from '../families/elementwise.ts';

export const relu6 = elementwise('Relu6', {
  keys: ['x'],
  accepts: ['float32', 'int32'],
  emit: (e, [x], _, dtype) => e.op('Clip', [x!, e.build.scalar(0, dtype), e.build.scalar(6, dtype)]),
});
