// Transpose: only the meaning of the stored order changes; data moves when a later kernel needs another order.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const transpose: KernelSpec = {
  kernel: 'Transpose',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    return {shape: attributes.numbers('perm').map(p => shape[p]!), dtype};
  },
  emit(e, node) {
    const places = node.attributes.numbers('perm');
    for (const {name, perm} of e.everyOrder(value(node, 'x'))) {
      e.set(
        node.outputs[0]!,
        name,
        perm.map(p => places.indexOf(p)),
      );
    }
  },
};
