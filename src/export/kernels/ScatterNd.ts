// ScatterNd: updates added onto zeros.
import {asInt64, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const scatterNd: KernelSpec = {
  kernel: 'ScatterNd',
  infer: (inputs, attributes) => ({shape: attributes.numbers('shape'), dtype: input(inputs, 'updates').dtype}),
  emit(e, node) {
    const updates = value(node, 'updates');
    const output = node.outputs[0]!;
    const type = updates.dtype === 'float32' ? 'float32' : 'int32';
    const zeros = e.op('Expand', [e.build.scalar(0, type), e.shapeTensor(output.shape)]);
    e.set(output, e.op('ScatterND', [zeros, asInt64(e, value(node, 'indices')), e.name(updates)], {reduction: 'add'}));
  },
};
