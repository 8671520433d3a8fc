// BatchToSpaceND: blocks moved from the batch, then cropped.
import * as tf from '../../tf.ts';
import {fixedShape, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const batchToSpaceND: KernelSpec = {
  kernel: 'BatchToSpaceND',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const block = attributes.numbers('blockShape');
    const crops = attributes.pairs('crops');
    const spatial = block.map((b, i) => shape[i + 1]! * b - crops[i]![0] - crops[i]![1]);
    return {shape: [shape[0]! / block.reduce((a, b) => a * b, 1), ...spatial, ...shape.slice(1 + block.length)], dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const shape = fixedShape(e, node, x);
    const block = node.attributes.numbers('blockShape');
    const crops = node.attributes.pairs('crops');
    const prod = block.reduce((a, b) => a * b, 1);
    const split = tf.backend_util.getReshaped(shape, block, prod);
    const order = tf.backend_util.getPermuted(split.length, block.length);
    const joined = tf.backend_util.getReshapedPermuted(shape, block, prod);
    const moved = e.reshape(e.op('Transpose', [e.reshape(e.name(x), split)], {perm: order}), joined);
    const starts = crops.map(c => c[0]);
    const ends = block.map((b, i) => shape[i + 1]! * b - crops[i]![1]);
    const axes = block.map((_, i) => i + 1);
    e.set(node.outputs[0]!, e.op('Slice', [moved, ...[starts, ends, axes].map(v => e.build.ints(v))]));
  },
};
