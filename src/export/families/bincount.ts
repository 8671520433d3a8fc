// Counting by comparison with every number that is counted.
import type {Emitter} from '../emitter.ts';
import type {GraphNode} from '../graph.ts';
import {reduceOp} from './reduce.ts';
import {value} from './shapes.ts';

export function counted(e: Emitter, node: GraphNode): void {
  const x = value(node, 'x');
  const weights = value(node, 'weights');
  const output = node.outputs[0]!;
  const size = node.attributes.number('size');
  const column = e.op('Unsqueeze', [e.name(x), e.build.ints([-1])]);
  const numbers = e.build.literal(
    'int32',
    [size],
    Array.from({length: size}, (_, i) => i),
  );
  const type = output.dtype === 'float32' ? 'float32' : 'int32';
  let hits = e.cast(e.op('Equal', [column, numbers]), type);
  const binary = x.shape.length > 1 && node.attributes.flag('binaryOutput');
  if (!binary && weights.shape[0] !== 0 && weights.shape.length > 0) {
    hits = e.op('Mul', [hits, e.op('Unsqueeze', [e.name(weights), e.build.ints([-1])])]);
  }
  if (binary) e.set(output, reduceOp(e, 'ReduceMax', hits, [-2], false));
  else e.set(output, e.op('ReduceSum', [hits, e.build.ints([-2])], {keepdims: 0}));
}
