// Reductions over axes, in whatever storage order the input has.
import type * as tf from '../../tf.ts';
import type {Emitter} from '../emitter.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import type {Perm} from '../layout.ts';
import {axesOf, input, value} from './shapes.ts';

export interface ReduceForm {
  readonly op: string;
  readonly accepts: readonly ('float32' | 'int32')[];
  readonly result: (dtype: tf.DataType) => tf.DataType;
}

/** The order that is left when `axes` are taken out of `perm`. */
export function withoutAxes(perm: Perm, axes: readonly number[]): Perm {
  const left = perm.filter(p => !axes.includes(p));
  return left.map(p => p - axes.filter(a => a < p).length);
}

/** A reduction operator over places of the stored data; from opset 18 all take their axes as an input, as ReduceSum does from 13. */
export function reduceOp(e: Emitter, op: string, name: string, places: readonly number[], keepDims: boolean): string {
  const keepdims = keepDims ? 1 : 0;
  if (op === 'ReduceSum' || e.opset >= 18) return e.op(op, [name, e.build.ints(places)], {keepdims});
  return e.op(op, [name], {axes: places, keepdims});
}

export function reduction(kernel: string, form: ReduceForm): KernelSpec {
  return {
    kernel,
    infer(inputs, attributes) {
      const {shape, dtype} = input(inputs, 'x');
      const axes = axesOf(attributes, shape.length);
      const kept = shape.map((d, i) => (axes.includes(i) ? 1 : d));
      const out = attributes.flag('keepDims') ? kept : shape.filter((_, i) => !axes.includes(i));
      return {shape: out, dtype: form.result(dtype)};
    },
    emit(e, node) {
      const x = value(node, 'x');
      const output = node.outputs[0]!;
      const axes = axesOf(node.attributes, x.shape.length);
      const perm = e.choosePerm([x], x.shape.length);
      const accepted: readonly tf.DataType[] = form.accepts;
      const used = accepted.includes(x.dtype) ? (x.dtype as 'float32' | 'int32') : form.accepts[0]!;
      let name = e.name(x, perm);
      if (x.dtype !== used) name = e.cast(name, used);
      const keep = node.attributes.flag('keepDims');
      if (axes.length > 0)
        name = reduceOp(
          e,
          form.op,
          name,
          axes.map(a => perm.indexOf(a)).sort((a, b) => a - b),
          keep,
        );
      if (output.dtype !== used) name = e.cast(name, output.dtype as 'float32' | 'int32' | 'bool');
      e.set(output, name, keep ? perm : withoutAxes(perm, axes));
    },
  };
}

/** ArgMax and ArgMin: the first of equal values, as int32. */
export function argReduction(kernel: string, op: string): KernelSpec {
  return {
    kernel,
    infer(inputs, attributes) {
      const {shape} = input(inputs, 'x');
      const [axis] = axesOf(attributes, shape.length);
      return {shape: shape.filter((_, i) => i !== axis), dtype: 'int32'};
    },
    emit(e, node) {
      const x = value(node, 'x');
      const [axis] = axesOf(node.attributes, x.shape.length);
      const perm = e.choosePerm([x], x.shape.length);
      const name = x.dtype === 'bool' ? e.cast(e.name(x, perm), 'int32') : e.name(x, perm);
      const found = e.op(op, [name], {axis: perm.indexOf(axis!), keepdims: 0});
      e.set(node.outputs[0]!, e.cast(found, 'int32'), withoutAxes(perm, [axis!]));
    },
  };
}
