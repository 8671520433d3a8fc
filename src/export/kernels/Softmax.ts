// Softmax.
import {asFloat, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const softmax: KernelSpec = {
  kernel: 'Softmax',
  infer: inputs => ({shape: input(inputs, 'logits').shape, dtype: 'float32'}),
  emit(e, node) {
    const x = value(node, 'logits');
    const dim = node.attributes.number('dim', -1);
    const axis = dim < 0 ? dim + x.shape.length : dim;
    const perm = e.choosePerm([x], x.shape.length);
    const name = asFloat(e, e.name(x, perm), x.dtype);
    e.set(node.outputs[0]!, e.op('Softmax', [name], {axis: perm.indexOf(axis)}), perm);
  },
};
