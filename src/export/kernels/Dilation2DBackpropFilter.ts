// Dilation2DBackpropFilter: dy goes to the place of the filter that gave the maximum, summed over images and positions.
import {geometryOf, routedGradient} from '../families/dilation.ts';
import {fixed, sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const dilation2DBackpropFilter: KernelSpec = {
  kernel: 'Dilation2DBackpropFilter',
  infer: sameAs('filter'),
  emit(e, node) {
    const g = geometryOf(e, node);
    const channels = fixed(e, node, value(node, 'x').shape[3], 'channels');
    const sums = e.op('ReduceSum', [routedGradient(e, node, g), e.build.ints([0, 3, 4])], {keepdims: 0}); // [C, places]
    e.set(node.outputs[0]!, e.reshape(sums, [channels, ...g.size]), [2, 0, 1]);
  },
};
