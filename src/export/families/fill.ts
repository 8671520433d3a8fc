// Tensors of one value.
import {splatOf} from '../constants.ts';
import {type Dim, isSymbolic} from '../dims.ts';
import type {Emitter} from '../emitter.ts';
import type {GraphNode} from '../graph.ts';

/** Gives the node's output one value everywhere, which may depend on dynamic dimensions. */
export function emitFilled(e: Emitter, node: GraphNode, value: Dim): void {
  const output = node.outputs[0]!;
  const {dtype, shape} = output;
  if (dtype === 'complex64' || dtype === 'string') e.fail(node, `it fills ${dtype} data`);
  if (!isSymbolic(value) && !shape.some(isSymbolic)) {
    e.set(output, e.constant(splatOf(dtype, shape as number[], value)));
    return;
  }
  const scalar = isSymbolic(value) ? symbolicScalar(e, value, dtype) : e.build.scalar(value, dtype);
  e.set(output, e.op('Expand', [scalar, e.shapeTensor(shape)]));
}

/** A number that depends on dynamic dimensions, as a tensor without dimensions. */
export function symbolicScalar(e: Emitter, value: Dim, dtype: 'float32' | 'int32' | 'bool'): string {
  if (!isSymbolic(value)) return e.build.scalar(value, dtype);
  if (dtype !== 'float32') return e.op('Squeeze', [e.cast(e.dim(value), dtype)]);
  let above = e.build.scalar(value.numerator / value.denominator);
  for (const {dim, offset, power} of value.factors) {
    const size = e.dim({numerator: 1, denominator: 1, factors: [{dim, offset: 0, power: 1}]});
    const term = e.op('Add', [e.op('Squeeze', [e.cast(size, 'float32')]), e.build.scalar(offset)]);
    above = e.op('Mul', [above, power === 1 ? term : e.op('Pow', [term, e.build.scalar(power)])]);
  }
  return above;
}
