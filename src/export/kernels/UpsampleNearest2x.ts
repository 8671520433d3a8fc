// UpsampleNearest2x, fused in src/ops: Resize by constant scales.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst} from '../layout.ts';

export const upsampleNearest2x: KernelSpec = {
  kernel: 'UpsampleNearest2x',
  infer(inputs) {
    const [n, h, w, c] = input(inputs, '0').shape as [number, number, number, number];
    return [{shape: [n, 2 * h, 2 * w, c], dtype: 'float32'}];
  },
  emit(e, node) {
    const perm = channelsFirst(4);
    const scales = e.build.literal('float32', [4], [1, 1, 2, 2]);
    const attributes = {mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor'};
    e.set(node.outputs[0]!, e.op('Resize', [e.name(value(node, '0'), perm), '', scales], attributes), perm);
  },
};
