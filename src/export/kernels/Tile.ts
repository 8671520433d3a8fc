// Tile.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {permute} from '../layout.ts';

export const tile: KernelSpec = {
  kernel: 'Tile',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const reps = attributes.numbers('reps');
    return {shape: shape.map((d, i) => d * reps[i]!), dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const perm = e.choosePerm([x], x.shape.length);
    e.set(
      node.outputs[0]!,
      e.op('Tile', [e.name(x, perm), e.shapeTensor(permute(node.attributes.dims('reps'), perm))]),
      perm,
    );
  },
};
