// LinSpace: a constant, unless its number of points is dynamic.

import {constantOf} from '../constants.ts';
import {fixed} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const linSpace: KernelSpec = {
  kernel: 'LinSpace',
  infer: (_, attributes) => ({shape: [attributes.number('num')], dtype: 'float32'}),
  emit(e, node) {
    const num = fixed(e, node, node.outputs[0]!.shape[0], 'number of points');
    const [start, stop] = [node.attributes.number('start'), node.attributes.number('stop')];
    const step = num > 1 ? (stop - start) / (num - 1) : 0;
    const values = Array.from({length: num}, (_, i) => start + i * step);
    e.set(node.outputs[0]!, e.constant(constantOf('float32', [num], values)));
  },
};
