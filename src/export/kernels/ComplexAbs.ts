// ComplexAbs: the length of (real, imaginary).
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const complexAbs: KernelSpec = {
  kernel: 'ComplexAbs',
  complex: true,
  infer: inputs => ({shape: input(inputs, 'x').shape, dtype: 'float32'}),
  emit(e, node) {
    const x = e.name(value(node, 'x'));
    e.set(
      node.outputs[0]!,
      e.op('Sqrt', [e.op('ReduceSum', [e.op('Mul', [x, x]), e.build.ints([-1])], {keepdims: 0})]),
    );
  },
};
