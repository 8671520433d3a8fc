// GatherNd: GatherND.
import {asInt64, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const gatherNd: KernelSpec = {
  kernel: 'GatherNd',
  infer(inputs) {
    const {shape, dtype} = input(inputs, 'params');
    const indices = input(inputs, 'indices').shape;
    return {shape: [...indices.slice(0, -1), ...shape.slice(indices.at(-1)!)], dtype};
  },
  emit(e, node) {
    e.set(node.outputs[0]!, e.op('GatherND', [e.name(value(node, 'params')), asInt64(e, value(node, 'indices'))]));
  },
};
