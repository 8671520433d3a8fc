// Kernels that work on each element alone: they broadcast, and take whatever storage order their operands already have.
import type * as tf from '../../tf.ts';
import type {Attributes} from '../attributes.ts';
import type {Emitter} from '../emitter.ts';
import type {GraphNode} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {broadcast, list} from './shapes.ts';

type RealType = 'float32' | 'int32' | 'bool';

export interface ElementwiseForm {
  /** The inputs in order; all of them as a list where absent. */
  readonly keys?: readonly string[];
  /** Types that the ONNX operators take; another is cast to the first of these, and the result back. */
  readonly accepts?: readonly RealType[];
  /** The type of the result where it is not that of the first input. */
  readonly result?: RealType;
  emit(e: Emitter, operands: string[], attributes: Attributes, dtype: RealType): string;
}

function operandsOf<T>(inputs: Readonly<Record<string, T>>, keys: readonly string[] | undefined): T[] {
  return keys ? keys.map(key => inputs[key]!) : list(inputs);
}

export function elementwise(kernel: string, form: ElementwiseForm): KernelSpec {
  return {
    kernel,
    infer(inputs) {
      const operands = operandsOf(inputs, form.keys);
      return {shape: broadcast(operands.map(o => o.shape)), dtype: form.result ?? operands[0]!.dtype};
    },
    emit(e, node) {
      emitElementwise(e, node, form);
    },
  };
}

function emitElementwise(e: Emitter, node: GraphNode, form: ElementwiseForm): void {
  const operands = operandsOf(node.inputs, form.keys);
  const output = node.outputs[0]!;
  const rank = output.shape.length;
  const perm = e.choosePerm(operands, rank);
  const accepts = form.accepts ?? ['float32'];
  const given = realType(e, node, operands[0]!.dtype);
  const used = accepts.includes(given) ? given : accepts[0]!;
  const names = operands.map(o => {
    const name = e.operand(o, rank, perm);
    return o.dtype === used ? name : e.cast(name, used);
  });
  let result = form.emit(e, names, node.attributes, used);
  if (form.result === undefined && used !== output.dtype) result = e.cast(result, realType(e, node, output.dtype));
  e.set(output, result, perm);
}

function realType(e: Emitter, node: GraphNode, dtype: tf.DataType): RealType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  return e.fail(node, `it works on ${dtype} data`);
}

/** One ONNX operator of one input. */
export function unary(kernel: string, op: string, form: Omit<ElementwiseForm, 'emit' | 'keys'> = {}): KernelSpec {
  return elementwise(kernel, {keys: ['x'], ...form, emit: (e, operands) => e.op(op, operands)});
}

/** One ONNX operator of two inputs; float32 and int32 unless the form says otherwise. */
export function binary(kernel: string, op: string, form: Omit<ElementwiseForm, 'emit' | 'keys'> = {}): KernelSpec {
  return elementwise(kernel, {
    keys: ['a', 'b'],
    accepts: ['float32', 'int32'],
    ...form,
    emit: (e, operands) => e.op(op, operands),
  });
}
