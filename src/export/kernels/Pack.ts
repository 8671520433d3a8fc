// Pack: Concat over a new axis.
import {list} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const pack: KernelSpec = {
  kernel: 'Pack',
  infer(inputs, attributes) {
    const all = list(inputs);
    const axis = attributes.number('axis');
    const rank = all[0]!.shape.length;
    return {shape: all[0]!.shape.toSpliced(axis < 0 ? axis + rank + 1 : axis, 0, all.length), dtype: all[0]!.dtype};
  },
  emit(e, node) {
    const output = node.outputs[0]!;
    const given = node.attributes.number('axis');
    const axis = given < 0 ? given + output.shape.length : given;
    const parts = list(node.inputs).map(v => e.op('Unsqueeze', [e.name(v), e.build.ints([axis])]));
    e.set(output, e.op('Concat', parts, {axis}));
  },
};
