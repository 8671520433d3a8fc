// ExpandDims: a Reshape with one more dimension of size one.
import {reshapeTo} from '../families/reshape.ts';
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const expandDims: KernelSpec = {
  kernel: 'ExpandDims',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'input');
    const dim = attributes.number('dim');
    return {shape: shape.toSpliced(dim < 0 ? dim + shape.length + 1 : dim, 0, 1), dtype};
  },
  emit: (e, node) => reshapeTo(e, value(node, 'input'), node.outputs[0]!),
};
