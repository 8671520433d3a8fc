// DepthToSpace, channels first, in mode DCR.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst, identityPerm} from '../layout.ts';

export const depthToSpace: KernelSpec = {
  kernel: 'DepthToSpace',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const b = attributes.number('blockSize');
    const first = attributes.text('dataFormat', 'NHWC') === 'NCHW';
    const [n, h, w, c] = first
      ? [shape[0]!, shape[2]!, shape[3]!, shape[1]!]
      : (shape as [number, number, number, number]);
    const depth = c / (b * b);
    return {shape: first ? [n, depth, h * b, w * b] : [n, h * b, w * b, depth], dtype};
  },
  emit(e, node) {
    const perm = node.attributes.text('dataFormat', 'NHWC') === 'NCHW' ? identityPerm(4) : channelsFirst(4);
    const y = e.op('DepthToSpace', [e.name(value(node, 'x'), perm)], {
      blocksize: node.attributes.number('blockSize'),
      mode: 'DCR',
    });
    e.set(node.outputs[0]!, y, perm);
  },
};
