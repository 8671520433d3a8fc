// Concat, in the order in which most of its inputs are stored; empty inputs are left out, as TensorFlow.js does.
import {list} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const concat: KernelSpec = {
  kernel: 'Concat',
  infer(inputs, attributes) {
    const all = list(inputs);
    const rank = all[0]!.shape.length;
    const axis = (attributes.number('axis') + rank) % rank;
    const size = all.reduce((sum, t) => sum + t.shape[axis]!, 0);
    return {shape: all[0]!.shape.with(axis, size), dtype: all[0]!.dtype};
  },
  emit(e, node) {
    const output = node.outputs[0]!;
    const rank = output.shape.length;
    const axis = (node.attributes.number('axis') + rank) % rank;
    const all = list(node.inputs);
    const full = all.filter(v => v.samples.every(s => !s.includes(0)));
    const used = full.length > 0 ? full : all.slice(0, 1);
    const perm = e.choosePerm(used, rank);
    e.set(
      output,
      e.op(
        'Concat',
        used.map(v => e.name(v, perm)),
        {axis: perm.indexOf(axis)},
      ),
      perm,
    );
  },
};
