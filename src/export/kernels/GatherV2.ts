// GatherV2: Gather; with batch dimensions, GatherND with the gathered axis brought next to them.
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {identityPerm} from '../layout.ts';

export const gatherV2: KernelSpec = {
  kernel: 'GatherV2',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const indices = input(inputs, 'indices').shape;
    const axis = (attributes.number('axis') + shape.length) % shape.length;
    const batch = attributes.number('batchDims', 0);
    return {shape: [...shape.slice(0, axis), ...indices.slice(batch), ...shape.slice(axis + 1)], dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const indices = value(node, 'indices');
    const rank = x.shape.length;
    const axis = (node.attributes.number('axis') + rank) % rank;
    const batch = node.attributes.number('batchDims', 0);
    const output = node.outputs[0]!;
    if (batch === 0) {
      e.set(output, e.op('Gather', [e.name(x), e.name(indices)], {axis}));
      return;
    }
    const dims = identityPerm(rank);
    const between = dims.slice(batch, axis);
    const order = [...dims.slice(0, batch), axis, ...between, ...dims.slice(axis + 1)];
    const at = e.op('Unsqueeze', [e.cast(e.name(indices), 'int64'), e.build.ints([-1])]);
    const gathered = e.op('GatherND', [e.name(x, order), at], {batch_dims: batch});
    // Stored: batch, indices, the dimensions between batch and axis, the rest.
    const own = indices.shape.length - batch;
    const out = identityPerm(output.shape.length);
    const moved = [
      ...out.slice(0, batch),
      ...out.slice(axis, axis + own),
      ...out.slice(batch, axis),
      ...out.slice(axis + own),
    ];
    e.set(output, gathered, moved);
  },
};
