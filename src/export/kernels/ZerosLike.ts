// ZerosLike: one value in the shape of x.
import {emitFilled} from '../families/fill.ts';
import {sameAs} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const zerosLike: KernelSpec = {
  kernel: 'ZerosLike',
  infer: sameAs('x'),
  emit: (e, node) => emitFilled(e, node, 0),
};
