// Range, where its ends depend on a dynamic dimension; otherwise it is a constant.
import {symbolicScalar} from '../families/fill.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const range: KernelSpec = {
  kernel: 'Range',
  infer(_, attributes) {
    const [start, stop, step] = [attributes.number('start'), attributes.number('stop'), attributes.number('step', 1)];
    const count =
      start === stop || (start < stop && step < 0) || (stop < start && step > 1)
        ? 0
        : Math.ceil(Math.abs((stop - start) / step));
    return {shape: [count], dtype: attributes.text('dtype', 'float32') === 'int32' ? 'int32' : 'float32'};
  },
  emit(e, node) {
    const output = node.outputs[0]!;
    const dtype = output.dtype === 'int32' ? 'int32' : 'float32';
    const ends = ['start', 'stop', 'step'].map(key => symbolicScalar(e, node.attributes.dim(key), dtype));
    e.set(output, e.op('Range', ends));
  },
};
