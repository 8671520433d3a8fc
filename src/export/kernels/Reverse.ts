// Reverse: Slice with step -1.
import {reverseAxes} from '../families/reverse.ts';
import {axesOf, sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const reverse: KernelSpec = {
  kernel: 'Reverse',
  infer: sameAs('x'),
  emit(e, node) {
    const x = value(node, 'x');
    reverseAxes(e, x, node.outputs[0]!, axesOf(node.attributes, x.shape.length, 'dims'));
  },
};
