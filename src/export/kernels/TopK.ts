// TopK: values and int32 indices along the last dimension; the first of equal values comes first.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const topK: KernelSpec = {
  kernel: 'TopK',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const out = shape.with(-1, attributes.number('k'));
    return [
      {shape: out, dtype},
      {shape: out, dtype: 'int32'},
    ];
  },
  emit(e, node) {
    const k = e.build.ints([node.attributes.number('k')]);
    const [values, indices] = e.build.many('TopK', [e.name(value(node, 'x')), k], 2, {axis: -1, largest: 1, sorted: 1});
    e.set(node.outputs[0]!, values!);
    e.set(node.outputs[1]!, e.cast(indices!, 'int32'));
  },
};
