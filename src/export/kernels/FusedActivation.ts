// FusedActivation, fused in src/ops: silu, gelu, quickGelu.
import {activation} from '../families/gelu.ts';
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const fusedActivation: KernelSpec = {
  kernel: 'FusedActivation',
  infer: inputs => [{shape: input(inputs, '0').shape, dtype: 'float32'}],
  emit(e, node) {
    const x = value(node, '0');
    const perm = e.choosePerm([x], x.shape.length);
    e.set(node.outputs[0]!, activation(e, node.attributes.text('kind'), e.name(x, perm)), perm);
  },
};
