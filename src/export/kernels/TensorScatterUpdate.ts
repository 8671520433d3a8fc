// TensorScatterUpdate: ScatterND.
import {asInt64, sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const tensorScatterUpdate: KernelSpec = {
  kernel: 'TensorScatterUpdate',
  infer: sameAs('tensor'),
  emit(e, node) {
    const inputs = [e.name(value(node, 'tensor')), asInt64(e, value(node, 'indices')), e.name(value(node, 'updates'))];
    e.set(node.outputs[0]!, e.op('ScatterND', inputs));
  },
};
