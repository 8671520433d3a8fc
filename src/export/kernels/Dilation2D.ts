// Dilation2D: the largest of x plus the filter over each window.
import {candidates, dilationGeometry, geometryOf} from '../families/dilation.ts';
import {reduceOp} from '../families/reduce.ts';
import {input} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const dilation2D: KernelSpec = {
  kernel: 'Dilation2D',
  infer(inputs, attributes) {
    const x = input(inputs, 'x');
    return {shape: dilationGeometry(x.shape, input(inputs, 'filter').shape, attributes).outShape, dtype: x.dtype};
  },
  emit(e, node) {
    const all = candidates(e, node, geometryOf(e, node));
    e.set(node.outputs[0]!, reduceOp(e, 'ReduceMax', all, [2], false), [0, 3, 1, 2]);
  },
};
