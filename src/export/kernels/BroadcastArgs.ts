// BroadcastArgs: the shape that two shapes broadcast to, for shapes without empty dimensions.

import type {Emitter} from '../emitter.ts';
import {fixed, input, value} from '../families/shapes.ts';
import type {GraphNode} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const broadcastArgs: KernelSpec = {
  kernel: 'BroadcastArgs',
  infer: inputs => ({shape: [Math.max(input(inputs, 's0').shape[0]!, input(inputs, 's1').shape[0]!)], dtype: 'int32'}),
  emit(e, node) {
    const rank = fixed(e, node, node.outputs[0]!.shape[0], 'rank');
    e.set(node.outputs[0]!, e.op('Max', [withRank(e, node, 's0', rank), withRank(e, node, 's1', rank)]));
  },
};

/** The shape with ones put before it. */
function withRank(e: Emitter, node: GraphNode, key: string, rank: number): string {
  const shape = value(node, key);
  const missing = rank - fixed(e, node, shape.shape[0], 'rank');
  return missing === 0
    ? e.name(shape)
    : e.op('Pad', [e.name(shape), e.build.ints([missing, 0]), e.build.scalar(1, 'int32')]);
}
