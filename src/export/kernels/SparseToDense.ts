// SparseToDense: values scattered onto a tensor full of the default value.
import {asInt64, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const sparseToDense: KernelSpec = {
  kernel: 'SparseToDense',
  infer: (inputs, attributes) => ({
    shape: attributes.numbers('outputShape'),
    dtype: input(inputs, 'sparseValues').dtype,
  }),
  emit(e, node) {
    const output = node.outputs[0]!;
    const indices = value(node, 'sparseIndices');
    const values = value(node, 'sparseValues');
    const rows =
      indices.shape.length === 0 ? [1, 1] : indices.shape.length === 1 ? [indices.shape[0]!, 1] : indices.shape;
    const base = e.op('Expand', [e.name(value(node, 'defaultValue')), e.shapeTensor(output.shape)]);
    const updates = e.op('Expand', [e.name(values), e.shapeTensor(rows.slice(0, 1))]);
    e.set(output, e.op('ScatterND', [base, e.reshape(asInt64(e, indices), rows), updates]));
  },
};
