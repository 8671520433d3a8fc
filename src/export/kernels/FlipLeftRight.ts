// FlipLeftRight: an image [N, H, W, C] reversed along W.
import {reverseAxes} from '../families/reverse.ts';
import {sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const flipLeftRight: KernelSpec = {
  kernel: 'FlipLeftRight',
  infer: sameAs('image'),
  emit: (e, node) => reverseAxes(e, value(node, 'image'), node.outputs[0]!, [2]),
};
