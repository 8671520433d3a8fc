// Diag: x on the diagonal of [...shape, ...shape], zero elsewhere.
import {fixedShape, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const diag: KernelSpec = {
  kernel: 'Diag',
  infer: inputs => ({
    shape: [...input(inputs, 'x').shape, ...input(inputs, 'x').shape],
    dtype: input(inputs, 'x').dtype,
  }),
  emit(e, node) {
    const x = value(node, 'x');
    const shape = fixedShape(e, node, x);
    const n = shape.reduce((a, b) => a * b, 1);
    const places = Array.from({length: n}, (_, i) => i);
    const diagonal = e.op('Equal', [
      e.build.literal('int32', [n, 1], places),
      e.build.literal('int32', [1, n], places),
    ]);
    const type = x.dtype === 'float32' ? 'float32' : 'int32';
    const row = e.reshape(x.dtype === 'bool' ? e.cast(e.name(x), 'int32') : e.name(x), [1, n]);
    const full = e.reshape(e.op('Where', [diagonal, row, e.build.scalar(0, type)]), [...shape, ...shape]);
    e.set(node.outputs[0]!, x.dtype === 'bool' ? e.cast(full, 'bool') : full);
  },
};
