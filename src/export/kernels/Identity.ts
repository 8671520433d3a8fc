// Identity: another name for the same data.
import {sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const identity: KernelSpec = {
  kernel: 'Identity',
  complex: true,
  infer: sameAs('x'),
  emit(e, node) {
    for (const {name, perm} of e.everyOrder(value(node, 'x'))) e.set(node.outputs[0]!, name, perm);
  },
};
