// DenseBincount: Bincount of a vector, or of each row of a matrix; a matrix may ask for occurrence only.
import {counted} from '../families/bincount.ts';
import {input} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const denseBincount: KernelSpec = {
  kernel: 'DenseBincount',
  infer: (inputs, attributes) => ({
    shape: [...input(inputs, 'x').shape.slice(0, -1), attributes.number('size')],
    dtype: input(inputs, 'weights').dtype,
  }),
  emit: counted,
};
