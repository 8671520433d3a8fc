// Cumprod: for each place the product of the factors that come before it, picked by a triangular mask (ONNX has no operator for it).

import {reduceOp} from '../families/reduce.ts';
import {fixed, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {identityPerm} from '../layout.ts';

export const cumprod: KernelSpec = {
  kernel: 'Cumprod',
  infer: inputs => ({
    shape: input(inputs, 'x').shape,
    dtype: input(inputs, 'x').dtype === 'float32' ? 'float32' : 'int32',
  }),
  emit(e, node) {
    const x = value(node, 'x');
    const rank = x.shape.length;
    const axis = (node.attributes.number('axis') + rank) % rank;
    const n = fixed(e, node, x.shape[axis], 'length along the axis');
    const perm = [...identityPerm(rank).filter(d => d !== axis), axis]; // the axis last
    const type = node.outputs[0]!.dtype === 'float32' ? 'float32' : 'int32';
    const name = x.dtype === 'bool' ? e.cast(e.name(x, perm), 'int32') : e.name(x, perm);
    const places = Array.from({length: n}, (_, i) => i);
    const column = e.build.literal('int32', [n, 1], places);
    const row = e.build.literal('int32', [1, n], places);
    const [first, second] = node.attributes.flag('reverse') ? [row, column] : [column, row];
    const mask = e.op(node.attributes.flag('exclusive') ? 'Greater' : 'GreaterOrEqual', [first, second]);
    const factors = e.op('Where', [mask, e.op('Unsqueeze', [name, e.build.ints([-2])]), e.build.scalar(1, type)]);
    e.set(node.outputs[0]!, reduceOp(e, 'ReduceProd', factors, [rank], false), perm);
  },
};
