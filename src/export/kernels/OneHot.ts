// OneHot; an index that is out of range, negative ones too, gives a row of the off value.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const oneHot: KernelSpec = {
  kernel: 'OneHot',
  infer(inputs, attributes) {
    const dtype = attributes.text('dtype', 'float32');
    return {
      shape: [...input(inputs, 'indices').shape, attributes.number('depth')],
      dtype: dtype === 'int32' || dtype === 'bool' ? dtype : 'float32',
    };
  },
  emit(e, node) {
    const depth = node.attributes.number('depth');
    const output = node.outputs[0]!;
    const type = output.dtype === 'int32' ? 'int32' : 'float32';
    // ONNX counts negative indices from the end: compare instead, which has no such case.
    const column = e.op('Unsqueeze', [e.name(value(node, 'indices')), e.build.ints([-1])]);
    const places = e.build.literal(
      'int32',
      [depth],
      Array.from({length: depth}, (_, i) => i),
    );
    const on = e.build.scalar(node.attributes.number('onValue'), type);
    const off = e.build.scalar(node.attributes.number('offValue'), type);
    const hot = e.op('Where', [e.op('Equal', [column, places]), on, off]);
    e.set(output, output.dtype === 'bool' ? e.cast(hot, 'bool') : hot);
  },
};
