// Fill: also stands for constants of one value whose shape depends on a dynamic dimension.
import {emitFilled} from '../families/fill.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const fill: KernelSpec = {
  kernel: 'Fill',
  infer(_, attributes) {
    const dtype = attributes.text('dtype', 'float32');
    if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool')
      throw new TypeError(`A fill of ${dtype} has no ONNX form.`);
    return {shape: attributes.numbers('shape'), dtype};
  },
  emit: (e, node) => emitFilled(e, node, node.attributes.dim('value')),
};
