// ClipByValue: Clip.
import {elementwise} from '../families/elementwise.ts';

export const clipByValue = elementwise('ClipByValue', {
  keys: ['x'],
  emit: (e, [x], attributes, dtype) =>
    e.op('Clip', [
      x!,
      e.build.scalar(attributes.number('clipValueMin'), dtype),
      e.build.scalar(attributes.number('clipValueMax'), dtype),
    ]),
});
