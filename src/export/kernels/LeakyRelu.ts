// LeakyRelu, always float32 in TensorFlow.js.
import {elementwise} from '../families/elementwise.ts';

export const leakyRelu = elementwise('LeakyRelu', {
  keys: ['x'],
  result: 'float32',
  emit: (e, [x], attributes) => e.op('LeakyRelu', [x!], {alpha: {float: attributes.number('alpha')}}),
});
