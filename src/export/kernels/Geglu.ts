// Geglu, fused in src/ops: the first half of the last axis times gelu of the second.
import {gelu} from '../families/gelu.ts';
import {fixed, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const geglu: KernelSpec = {
  kernel: 'Geglu',
  infer(inputs) {
    const {shape} = input(inputs, '0');
    return [{shape: shape.with(-1, shape.at(-1)! / 2), dtype: 'float32'}];
  },
  emit(e, node) {
    const half = fixed(e, node, node.outputs[0]!.shape.at(-1), 'channels');
    const [values, gates] = e.build.many('Split', [e.name(value(node, '0')), e.build.ints([half, half])], 2, {
      axis: -1,
    });
    e.set(node.outputs[0]!, e.op('Mul', [values!, gelu(e, gates!)]));
  },
};
