// The ONNX graph while it is being built: nodes, initializers and names. It knows ONNX, not TensorFlow.js.
import type {Constant, ConstantType} from './constants.ts';
import {constantOf, sizeOf} from './constants.ts';
import type {Dim} from './dims.ts';

export type OnnxType = ConstantType | 'float16';
/** A number is an INT attribute and a list INTS; floats are marked. */
export type OnnxAttribute = number | string | readonly number[] | {readonly float: number};

export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxInitializer {
  readonly name: string;
  readonly constant: Constant;
  /** How it is stored; float16 for a float32 constant that a Cast widens again. */
  readonly stored: OnnxType;
}

export interface OnnxValueInfo {
  readonly name: string;
  readonly dtype: OnnxType;
  readonly shape: readonly Dim[];
}

export interface BuilderOptions {
  readonly opset: number;
  readonly halfWeights: boolean;
}

const halvedFrom = 32; // elements: shorter vectors gain nothing from float16

export class GraphBuilder {
  readonly opset: number;
  nodes: OnnxNode[] = [];
  readonly initializers = new Map<string, OnnxInitializer>();
  readonly #names = new Set<string>();
  readonly #literals = new Map<string, string>();
  readonly #halfWeights: boolean;
  #scope = '';

  constructor(options: BuilderOptions) {
    this.opset = options.opset;
    this.#halfWeights = options.halfWeights;
  }

  /** Names of following nodes begin with this: the path of the weight that they use, or the kernel. */
  scope(name: string): void {
    this.#scope = name;
  }

  unique(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#names.has(name); i++) name = `${wanted}.${i}`;
    this.#names.add(name);
    return name;
  }

  /** Adds a node and returns the names of its outputs. An empty input name is an input left out. */
  many(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, OnnxAttribute> = {},
  ): string[] {
    const name = this.unique(`/${this.#scope}/${op}`);
    const results = Array.from({length: outputs}, (_, i) => this.unique(`${name}_output_${i}`));
    this.nodes.push({op, name, inputs, outputs: results, attributes});
    return results;
  }

  op(op: string, inputs: readonly string[], attributes: Record<string, OnnxAttribute> = {}): string {
    return this.many(op, inputs, 1, attributes)[0]!;
  }

  initializer(constant: Constant): string {
    const half = this.#halfWeights && constant.dtype === 'float32' && sizeOf(constant.shape) >= halvedFrom;
    const name = this.unique(constant.name ?? `constant_${this.initializers.size}`);
    this.initializers.set(name, {name, constant, stored: half ? 'float16' : constant.dtype});
    return half ? this.op('Cast', [name], {to: onnxDataType.float32}) : name;
  }

  /** A small constant written in the graph; equal ones are shared. */
  literal(dtype: ConstantType, shape: readonly number[], values: readonly number[]): string {
    const key = `${dtype}[${shape}]:${values.map(v => (Object.is(v, -0) ? '-0' : v))}`;
    let name = this.#literals.get(key);
    if (name === undefined) {
      name = this.initializer(constantOf(dtype, shape, values));
      this.#literals.set(key, name);
    }
    return name;
  }

  ints(values: readonly number[]): string {
    return this.literal('int64', [values.length], values);
  }

  scalar(value: number, dtype: ConstantType = 'float32'): string {
    return this.literal(dtype, [], [value]);
  }

  /** Drops nodes and initializers that no output needs. */
  prune(outputs: readonly string[]): void {
    const needed = new Set(outputs);
    const kept: OnnxNode[] = [];
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some(o => needed.has(o))) continue;
      for (const input of node.inputs) needed.add(input);
      kept.push(node);
    }
    this.nodes = kept.toReversed();
    for (const name of [...this.initializers.keys()]) if (!needed.has(name)) this.initializers.delete(name);
  }
}

/** TensorProto.DataType. */
export const onnxDataType = {
  float32: 1,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
} as const satisfies Record<OnnxType, number>;
