// Reshape. Where the input is stored in another order and the reshape only splits or joins neighbours of that order, the data stays put.
import {reshapeTo} from '../families/reshape.ts';
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

/** The attribute with its -1, if any, worked out. */
function wanted(size: number, shape: readonly number[]): number[] {
  const known = shape.reduce((a, d) => (d === -1 ? a : a * d), 1);
  return shape.map(d => (d === -1 ? size / known : d));
}

export const reshape: KernelSpec = {
  kernel: 'Reshape',
  complex: true,
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    return {
      shape: wanted(
        shape.reduce((a, b) => a * b, 1),
        attributes.numbers('shape'),
      ),
      dtype,
    };
  },
  emit: (e, node) => reshapeTo(e, value(node, 'x'), node.outputs[0]!),
};
