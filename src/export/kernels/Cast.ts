// Cast; float32 to int32 rounds towards zero in both.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

function real(dtype: string): 'float32' | 'int32' | 'bool' {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new TypeError(`A cast to ${dtype} has no ONNX form.`);
}

export const cast: KernelSpec = {
  kernel: 'Cast',
  infer: (inputs, attributes) => ({shape: input(inputs, 'x').shape, dtype: real(attributes.text('dtype'))}),
  emit(e, node) {
    const x = value(node, 'x');
    const perm = e.choosePerm([x], x.shape.length);
    const name = e.name(x, perm);
    e.set(
      node.outputs[0]!,
      x.dtype === node.outputs[0]!.dtype ? name : e.cast(name, real(node.outputs[0]!.dtype)),
      perm,
    );
  },
};
