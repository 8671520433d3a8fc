// Shape rules and small conversions that many kernels share.
import * as tf from '../../tf.ts';
import type {Attributes} from '../attributes.ts';
import {type Dim, isSymbolic} from '../dims.ts';
import type {Emitter} from '../emitter.ts';
import type {GraphNode, GraphValue} from '../graph.ts';
import type {InferredInputs, TensorShape} from '../kernel_spec.ts';
import type {Perm} from '../layout.ts';

export function input(inputs: InferredInputs, key: string): TensorShape {
  const found = inputs[key];
  if (!found) throw new Error(`A kernel was called without its input "${key}".`);
  return found;
}

export function value(node: GraphNode, key: string): GraphValue {
  const found = node.inputs[key];
  if (!found) throw new Error(`Kernel ${node.spec.kernel} was called without its input "${key}".`);
  return found;
}

/** The inputs of a kernel that takes a list. */
export function list<T>(inputs: Readonly<Record<string, T>>): T[] {
  return Object.keys(inputs)
    .sort((a, b) => Number(a) - Number(b))
    .map(key => inputs[key]!);
}

export function broadcast(shapes: readonly (readonly number[])[]): number[] {
  return shapes.reduce<number[]>((a, b) => tf.backend_util.assertAndGetBroadcastShape(a, [...b]), []);
}

export function sameAs(key: string): (inputs: InferredInputs) => TensorShape {
  return inputs => ({shape: input(inputs, key).shape, dtype: input(inputs, key).dtype});
}

/** The axes of a reduction, all of them where none is given, counted from the front. */
export function axesOf(attributes: Attributes, rank: number, wanted = 'axis'): number[] {
  const key = attributes.has('reductionIndices') ? 'reductionIndices' : wanted; // Max alone calls them so
  const axes = attributes.has(key) ? attributes.numbers(key) : Array.from({length: rank}, (_, i) => i);
  return axes.map(a => (a < 0 ? a + rank : a));
}

/** The shape, where no dimension is dynamic. */
export function fixedShape(e: Emitter, node: GraphNode, of: GraphValue, what = 'shape'): number[] {
  return of.shape.map(d => (isSymbolic(d) ? e.fail(node, `its ${what} must not be dynamic`) : d));
}

export function fixed(e: Emitter, node: GraphNode, dim: Dim | undefined, what: string): number {
  if (typeof dim === 'number') return dim;
  return e.fail(node, `its ${what} must not be dynamic`);
}

/** A value reordered and reshaped, in the initializer where it is a constant. */
export function reordered(e: Emitter, v: GraphValue, perm: Perm, shape: readonly Dim[]): string {
  if (v.constant) return e.constant(v.constant, shape as number[], perm);
  return e.reshape(e.name(v, perm), shape);
}

export function timesDims(dims: readonly Dim[]): Dim {
  let numerator = 1;
  let denominator = 1;
  const factors = [];
  for (const d of dims) {
    numerator *= isSymbolic(d) ? d.numerator : d;
    if (!isSymbolic(d)) continue;
    denominator *= d.denominator;
    factors.push(...d.factors);
  }
  return factors.length === 0 ? numerator / denominator : {numerator, denominator, factors};
}

/** The names of stored values as float32, which is all that many ONNX operators take. */
export function asFloat(e: Emitter, name: string, dtype: tf.DataType): string {
  return dtype === 'float32' ? name : e.cast(name, 'float32');
}

export function asInt64(e: Emitter, v: GraphValue): string {
  return e.cast(e.name(v), 'int64');
}
