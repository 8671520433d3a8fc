// Select: Where. tf.where broadcasts before it calls the kernel, so condition and branches have one shape.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const select: KernelSpec = {
  kernel: 'Select',
  infer: inputs => ({shape: input(inputs, 't').shape, dtype: input(inputs, 't').dtype}),
  emit(e, node) {
    const condition = value(node, 'condition');
    const [t, f] = [value(node, 't'), value(node, 'e')];
    const rank = t.shape.length;
    const bools = t.dtype === 'bool';
    if (condition.shape.length === 1 && rank > 1)
      return e.fail(node, 'its condition is a vector that picks rows; broadcast it first');
    const perm = e.choosePerm([condition, t, f], rank);
    const branch = (name: string) => (bools ? e.cast(name, 'int32') : name);
    const stored = e.operand(condition, rank, perm);
    const mask = condition.dtype === 'bool' ? stored : e.cast(stored, 'bool');
    const picked = e.op('Where', [mask, branch(e.name(t, perm)), branch(e.name(f, perm))]);
    e.set(node.outputs[0]!, bools ? e.cast(picked, 'bool') : picked, perm);
  },
};
