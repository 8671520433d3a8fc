// FusedLayerNorm, fused in src/ops: LayerNormalization over the last axis.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const fusedLayerNorm: KernelSpec = {
  kernel: 'FusedLayerNorm',
  infer(inputs) {
    const {shape} = input(inputs, '0');
    const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return [
      {shape, dtype: 'float32'},
      {shape: [rows, 2], dtype: 'float32'}, // for the gradient only
    ];
  },
  emit(e, node) {
    const names = ['0', '1', '2'].map(key => e.name(value(node, key)));
    const attributes = {axis: -1, epsilon: {float: node.attributes.number('epsilon')}};
    e.set(node.outputs[0]!, e.op('LayerNormalization', names, attributes));
  },
};
