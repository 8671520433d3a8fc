// Step: 1 above zero, alpha elsewhere, NaN for NaN.
import {elementwise} from '../families/elementwise.ts';

export const step = elementwise('Step', {
  keys: ['x'],
  emit: (e, [x], attributes) => {
    const above = e.op('Greater', [x!, e.build.scalar(0)]);
    const step = e.op('Where', [above, e.build.scalar(1), e.build.scalar(attributes.number('alpha'))]);
    return e.op('Where', [e.op('IsNaN', [x!]), x!, step]);
  },
});
