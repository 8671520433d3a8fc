// LRN: ONNX divides alpha by the size of the window, TensorFlow.js does not.
import {sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst} from '../layout.ts';

export const lrn: KernelSpec = {
  kernel: 'LRN',
  infer: sameAs('x'),
  emit(e, node) {
    const x = value(node, 'x');
    const size = 2 * node.attributes.number('depthRadius') + 1;
    const perm = channelsFirst(x.shape.length);
    const y = e.op('LRN', [e.name(x, perm)], {
      size,
      alpha: {float: node.attributes.number('alpha') * size},
      beta: {float: node.attributes.number('beta')},
      bias: {float: node.attributes.number('bias')},
    });
    e.set(node.outputs[0]!, y, perm);
  },
};
