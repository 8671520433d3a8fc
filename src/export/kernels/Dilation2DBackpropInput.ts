// Dilation2DBackpropInput: dy goes to the place of x that gave the maximum.
import {geometryOf, routedGradient} from '../families/dilation.ts';
import {scatterWindows} from '../families/pool.ts';
import {sameAs, timesDims, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const dilation2DBackpropInput: KernelSpec = {
  kernel: 'Dilation2DBackpropInput',
  infer: sameAs('x'),
  emit(e, node) {
    const [x, dy] = [value(node, 'x'), value(node, 'dy')];
    const g = geometryOf(e, node);
    const flat = [timesDims([x.shape[0]!, x.shape[3]!]), g.size[0]! * g.size[1]!, ...dy.shape.slice(1, 3)];
    const data = e.reshape(routedGradient(e, node, g), flat);
    e.set(node.outputs[0]!, scatterWindows(e, node, data, g, dy, x), [0, 3, 1, 2]);
  },
};
