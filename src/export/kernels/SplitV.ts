// SplitV: Split, in whatever order x is stored.
import * as tf from '../../tf.ts';
import {fixed, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const splitV: KernelSpec = {
  kernel: 'SplitV',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const axis = (attributes.number('axis') + shape.length) % shape.length;
    const given = attributes.numbers('numOrSizeSplits');
    const sizes = tf.backend_util.prepareSplitSize(
      {shape: [...shape]} as tf.Tensor,
      Array.isArray(attributes.raw('numOrSizeSplits')) ? given : given[0]!,
      axis,
    );
    return sizes.map(size => ({shape: shape.with(axis, size), dtype}));
  },
  emit(e, node) {
    const x = value(node, 'x');
    const axis = (node.attributes.number('axis') + x.shape.length) % x.shape.length;
    const perm = e.choosePerm([x], x.shape.length);
    const sizes = node.outputs.map(o => fixed(e, node, o.shape[axis], 'parts'));
    const parts = e.build.many('Split', [e.name(x, perm), e.build.ints(sizes)], sizes.length, {
      axis: perm.indexOf(axis),
    });
    for (const [i, part] of parts.entries()) e.set(node.outputs[i]!, part, perm);
  },
};
