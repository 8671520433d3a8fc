// Unpack: Split into slices of one, each without its axis.
import {fixed, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const unpack: KernelSpec = {
  kernel: 'Unpack',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'value');
    const axis = (attributes.number('axis') + shape.length) % shape.length;
    return Array.from({length: shape[axis]!}, () => ({shape: shape.toSpliced(axis, 1), dtype}));
  },
  emit(e, node) {
    const x = value(node, 'value');
    const axis = (node.attributes.number('axis') + x.shape.length) % x.shape.length;
    const count = fixed(e, node, x.shape[axis], 'number of parts');
    const sizes = e.build.ints(new Array<number>(count).fill(1));
    const parts = e.build.many('Split', [e.name(x), sizes], count, {axis});
    for (const [i, part] of parts.entries()) e.set(node.outputs[i]!, e.op('Squeeze', [part, e.build.ints([axis])]));
  },
};
