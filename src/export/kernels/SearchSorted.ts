// SearchSorted: where each value would go is the number of elements before it.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const searchSorted: KernelSpec = {
  kernel: 'SearchSorted',
  infer: inputs => ({shape: input(inputs, 'values').shape, dtype: 'int32'}),
  emit(e, node) {
    const sequence = e.op('Unsqueeze', [e.name(value(node, 'sortedSequence')), e.build.ints([1])]); // [B, 1, n]
    const values = e.op('Unsqueeze', [e.name(value(node, 'values')), e.build.ints([2])]); // [B, m, 1]
    const before = e.op(node.attributes.text('side') === 'left' ? 'Less' : 'LessOrEqual', [sequence, values]);
    e.set(node.outputs[0]!, e.op('ReduceSum', [e.cast(before, 'int32'), e.build.ints([2])], {keepdims: 0}));
  },
};
