// Complex: the two parts side by side in a last dimension of two.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const complex: KernelSpec = {
  kernel: 'Complex',
  complex: true,
  infer: inputs => ({shape: input(inputs, 'real').shape, dtype: 'complex64'}),
  emit(e, node) {
    const parts = ['real', 'imag'].map(key => e.op('Unsqueeze', [e.name(value(node, key)), e.build.ints([-1])]));
    e.set(node.outputs[0]!, e.op('Concat', parts, {axis: -1}));
  },
};
