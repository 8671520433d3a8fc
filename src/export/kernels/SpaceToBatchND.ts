// SpaceToBatchND: Pad, then blocks moved to the batch.
import * as tf from '../../tf.ts';
import {fixedShape, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const spaceToBatchND: KernelSpec = {
  kernel: 'SpaceToBatchND',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const block = attributes.numbers('blockShape');
    const pads = attributes.pairs('paddings');
    const spatial = block.map((b, i) => (shape[i + 1]! + pads[i]![0] + pads[i]![1]) / b);
    return {shape: [shape[0]! * block.reduce((a, b) => a * b, 1), ...spatial, ...shape.slice(1 + block.length)], dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const shape = fixedShape(e, node, x);
    const block = node.attributes.numbers('blockShape');
    const pads = node.attributes.pairs('paddings');
    const all = shape.map((_, i): [number, number] => pads[i - 1] ?? [0, 0]);
    const padded = e.op('Pad', [e.name(x), e.build.ints([...all.map(p => p[0]), ...all.map(p => p[1])])]);
    const paddedShape = shape.map((d, i) => d + all[i]![0] + all[i]![1]);
    const prod = block.reduce((a, b) => a * b, 1);
    const split = tf.backend_util.getReshaped(paddedShape, block, prod, false);
    const order = tf.backend_util.getPermuted(split.length, block.length, false);
    const moved = e.op('Transpose', [e.reshape(padded, split)], {perm: order});
    e.set(node.outputs[0]!, e.reshape(moved, node.outputs[0]!.shape));
  },
};
