// AlphaMix, fused in src/ops: spatial * a + temporal * (1 - a), a = sigmoid(mix factor), computed beforehand where the factor is a weight.
import type {Constant} from '../constants.ts';
import type {Dim} from '../dims.ts';
import type {Emitter} from '../emitter.ts';
import {input, value} from '../families/shapes.ts';
import type {GraphValue} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const alphaMix: KernelSpec = {
  kernel: 'AlphaMix',
  infer: inputs => [{shape: input(inputs, '0').shape, dtype: 'float32'}],
  emit(e, node) {
    const [spatial, temporal, factor] = [value(node, '0'), value(node, '1'), value(node, '2')];
    const rank = spatial.shape.length;
    const perm = e.choosePerm([spatial, temporal], rank);
    const switched = node.attributes.flag('switched');
    const beside = perm.map(p => (p === 1 ? (factor.shape[0] ?? 1) : 1)); // [T] beside data of this order
    const alpha = mixWeight(e, factor, switched, beside);
    const rest = mixWeight(e, factor, !switched, beside);
    const left = e.op('Mul', [e.name(spatial, perm), alpha]);
    const right = e.op('Mul', [e.name(temporal, perm), rest]);
    e.set(node.outputs[0]!, e.op('Add', [left, right]), perm);
  },
};

/** sigmoid(factor), or 1 - sigmoid(factor) = sigmoid(-factor) with `negated`. */
function mixWeight(e: Emitter, factor: GraphValue, negated: boolean, shape: readonly Dim[]): string {
  const {constant} = factor;
  if (!constant) {
    const name = e.name(factor);
    return e.reshape(e.op('Sigmoid', [negated ? e.op('Neg', [name]) : name]), shape);
  }
  const folded: Constant = {
    dtype: 'float32',
    shape: constant.shape,
    load: () => Float32Array.from(constant.load() as Float32Array, v => 1 / (1 + Math.exp(negated ? v : -v))),
    ...(constant.name === undefined ? {} : {name: `${constant.name}.${negated ? 'temporal' : 'spatial'}`}),
  };
  return e.constant(folded, shape as number[]);
}
