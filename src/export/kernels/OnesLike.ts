// OnesLike: one value in the shape of x.
import {emitFilled} from '../families/fill.ts';
import {sameAs} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const onesLike: KernelSpec = {
  kernel: 'OnesLike',
  infer: sameAs('x'),
  emit: (e, node) => emitFilled(e, node, 1),
};
