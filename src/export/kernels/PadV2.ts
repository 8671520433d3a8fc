// PadV2: Pad with a constant.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {permute} from '../layout.ts';

export const padV2: KernelSpec = {
  kernel: 'PadV2',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const pads = attributes.pairs('paddings');
    return {shape: shape.map((d, i) => d + pads[i]![0] + pads[i]![1]), dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const perm = e.choosePerm([x], x.shape.length);
    const pads = permute(node.attributes.pairs('paddings'), perm);
    if (x.dtype === 'complex64' || x.dtype === 'string') return e.fail(node, `it pads ${x.dtype} data`);
    const fill = e.build.scalar(node.attributes.number('constantValue', 0), x.dtype);
    const begins = pads.map(p => p[0]);
    const ends = pads.map(p => p[1]);
    e.set(node.outputs[0]!, e.op('Pad', [e.name(x, perm), e.build.ints([...begins, ...ends]), fill]), perm);
  },
};
