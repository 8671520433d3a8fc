// MaxPoolWithArgmax: MaxPool's second output counts in N, C, H, W order; here it is counted in (N,) H, W, C order.
import {nodeGeometry, poolGeometry} from '../families/pool.ts';
import {fixedShape, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const maxPoolWithArgmax: KernelSpec = {
  kernel: 'MaxPoolWithArgmax',
  infer(inputs, attributes) {
    const x = input(inputs, 'x');
    const shape = poolGeometry(2, x.shape, attributes).outShape;
    return [
      {shape, dtype: x.dtype},
      {shape, dtype: 'int32'},
    ];
  },
  emit(e, node) {
    const x = value(node, 'x');
    const perm = [0, 3, 1, 2];
    const [, height, width, channels] = fixedShape(e, node, x) as [number, number, number, number];
    const g = nodeGeometry(e, node, 2, x);
    const [y, at] = e.build.many('MaxPool', [e.name(x, perm)], 2, {
      kernel_shape: g.size,
      strides: g.strides,
      pads: g.pads,
    });
    const number = (v: number) => e.build.scalar(v, 'int64');
    const area = number(height * width);
    const pixel = e.op('Mod', [at!, area]);
    const plane = e.op('Div', [at!, area]); // image * channels + channel
    const channel = e.op('Mod', [plane, number(channels)]);
    let index = e.op('Add', [e.op('Mul', [pixel, number(channels)]), channel]);
    if (node.attributes.flag('includeBatchInIndex')) {
      const image = e.op('Div', [plane, number(channels)]);
      index = e.op('Add', [index, e.op('Mul', [image, number(height * width * channels)])]);
    }
    e.set(node.outputs[0]!, y!, perm);
    e.set(node.outputs[1]!, e.cast(index, 'int32'), perm);
  },
};
