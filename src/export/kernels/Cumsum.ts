// Cumsum: CumSum.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const cumsum: KernelSpec = {
  kernel: 'Cumsum',
  infer: inputs => ({
    shape: input(inputs, 'x').shape,
    dtype: input(inputs, 'x').dtype === 'float32' ? 'float32' : 'int32',
  }),
  emit(e, node) {
    const x = value(node, 'x');
    const rank = x.shape.length;
    const name = x.dtype === 'bool' ? e.cast(e.name(x), 'int32') : e.name(x);
    const axis = (node.attributes.number('axis') + rank) % rank;
    const attributes = {
      exclusive: node.attributes.flag('exclusive') ? 1 : 0,
      reverse: node.attributes.flag('reverse') ? 1 : 0,
    };
    e.set(node.outputs[0]!, e.op('CumSum', [name, e.build.scalar(axis, 'int64')], attributes));
  },
};
