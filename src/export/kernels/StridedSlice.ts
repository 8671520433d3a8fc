// StridedSlice: Slice with steps, then the dimensions that the masks add and take away.
import * as tf from '../../tf.ts';
import type {Attributes} from '../attributes.ts';
import {fixedShape, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

function cut(shape: readonly number[], a: Attributes) {
  return tf.slice_util.sliceInfo(
    [...shape],
    a.numbers('begin'),
    a.numbers('end'),
    a.numbers('strides'),
    a.number('beginMask', 0),
    a.number('endMask', 0),
    a.number('ellipsisMask', 0),
    a.number('newAxisMask', 0),
    a.number('shrinkAxisMask', 0),
  );
}

const beforeFirst = -(2 ** 40); // an end below every index, for steps that go down

export const stridedSlice: KernelSpec = {
  kernel: 'StridedSlice',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    return {shape: cut(shape, attributes).finalShape, dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const info = cut(fixedShape(e, node, x), node.attributes);
    const ends = info.end.map((end, i) => (info.strides[i]! < 0 && end < 0 ? beforeFirst : end));
    const axes = info.begin.map((_, i) => i);
    const inputs = [e.name(x), ...[info.begin, ends, axes, info.strides].map(v => e.build.ints(v))];
    e.set(node.outputs[0]!, e.reshape(e.op('Slice', inputs), info.finalShape));
  },
};
