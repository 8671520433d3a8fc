// Bincount: for each number below `size`, how often it occurs, or the sum of the weights where it does.
import {counted} from '../families/bincount.ts';
import {input} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const bincount: KernelSpec = {
  kernel: 'Bincount',
  infer: (inputs, attributes) => ({shape: [attributes.number('size')], dtype: input(inputs, 'weights').dtype}),
  emit: counted,
};
