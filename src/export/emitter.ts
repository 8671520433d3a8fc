// Turns graph values into ONNX names. A value may exist in several storage orders; a Transpose is added only when a node asks
// for an order that does not exist yet, and only once.
import {UserError} from '../platform/user_error.ts';
import {type GraphBuilder, type OnnxAttribute, onnxDataType} from './builder.ts';
import type {Constant} from './constants.ts';
import {permuteConstant, reshapeConstant, sizeOf} from './constants.ts';
import {type Dim, type DimSizes, dimName, isSymbolic, type SymbolicDim, sameDim} from './dims.ts';
import type {GraphNode, GraphValue} from './graph.ts';
import {between, identityPerm, isIdentity, movesOnlyOnes, type Perm, permute, samePerm} from './layout.ts';

export interface Stored {
  readonly perm: Perm;
  readonly name: string;
  /** Whether a Transpose brought it into this order. */
  readonly moved?: boolean;
}

export class Emitter {
  readonly build: GraphBuilder;
  readonly sizes: readonly DimSizes[];
  readonly #stored = new Map<GraphValue, Stored[]>();
  readonly #constants = new Map<string, string>();
  readonly #constantIds = new Map<object, number>();
  readonly #dims = new Map<string, string>();
  /** Reshapes by their result: a reshape of a reshape starts from the first one's input. */
  readonly #reshapedFrom = new Map<string, string>();
  readonly #pending = new Map<GraphValue, () => void>();
  readonly #sources = new Map<GraphValue, GraphValue>();
  readonly #shapes = new Map<string, readonly Dim[]>();
  readonly #dimSources = new Map<string, {input: string; axis: number}>();

  constructor(build: GraphBuilder, sizes: readonly DimSizes[]) {
    this.build = build;
    this.sizes = sizes;
  }

  get opset(): number {
    return this.build.opset;
  }

  op(op: string, inputs: readonly string[], attributes: Record<string, OnnxAttribute> = {}): string {
    return this.build.op(op, inputs, attributes);
  }

  fail(node: GraphNode, why: string): never {
    throw new UserError(`Kernel ${node.spec.kernel}, called in ${node.caller()}, cannot be exported to ONNX: ${why}.`);
  }

  /** Says that `value` is what ONNX calls `name`, stored in the order `perm` (default: as TensorFlow.js has it). */
  set(value: GraphValue, name: string, perm: Perm = identityPerm(value.shape.length)): void {
    const list = this.#stored.get(value) ?? [];
    if (!list.some(s => samePerm(s.perm, perm))) list.push({perm, name});
    this.#stored.set(value, list);
    if (value.dtype !== 'complex64') this.#shapes.set(name, permute(value.shape, perm));
  }

  /** Makes `input` a source of the sizes of dynamic dimensions. */
  declareInput(name: string, shape: readonly Dim[]): void {
    shape.forEach((dim, axis) => {
      if (isSymbolic(dim) && !this.#dimSources.has(dimName(dim)))
        this.#dimSources.set(dimName(dim), {input: name, axis});
    });
  }

  /** Says that `value` is a reshape of `source`. */
  reshapedFrom(value: GraphValue, source: GraphValue): void {
    this.#sources.set(value, source);
  }

  /** The value and those that it is a reshape of, the nearest first: the same data, stored in any of their ways. */
  withSources(value: GraphValue): GraphValue[] {
    const chain = [value];
    for (let v = this.#sources.get(value); v && !chain.includes(v); v = this.#sources.get(v)) chain.push(v);
    return chain;
  }

  /** Puts the work of producing `value` off until somebody asks for it: nobody may. */
  later(value: GraphValue, produce: () => void): void {
    this.#pending.set(value, produce);
  }

  #settle(value: GraphValue): void {
    const produce = this.#pending.get(value);
    if (!produce) return;
    this.#pending.delete(value);
    produce();
  }

  /** The orders in which the value exists, none where its production was put off. */
  storedAs(value: GraphValue): readonly Stored[] {
    return this.#stored.get(value) ?? [];
  }

  /** Every order in which the value exists by now, at least one. */
  everyOrder(value: GraphValue): readonly Stored[] {
    const perm = identityPerm(value.shape.length);
    if (value.constant) return [{perm, name: this.name(value)}];
    this.#settle(value);
    return this.storedAs(value);
  }

  /** The name of the value in the given storage order. */
  name(value: GraphValue, perm: Perm = identityPerm(value.shape.length)): string {
    if (value.constant) return this.constant(value.constant, permute(value.constant.shape, perm), perm);
    this.#settle(value);
    const list = this.#stored.get(value);
    if (!list?.length) throw new Error(`A value of shape [${value.samples[0]}] is used before it is produced.`);
    const exact = list.find(s => samePerm(s.perm, perm));
    if (exact) return exact.name;
    const isOne = (d: number) => value.shape[d] === 1;
    const free = list.find(s => movesOnlyOnes(s.perm, perm, isOne));
    const name = free
      ? this.reshape(free.name, permute(value.shape, perm))
      : this.op('Transpose', [list[0]!.name], {perm: between(list[0]!.perm, perm)});
    list.push({perm, name, moved: !free});
    return name;
  }

  /** An initializer of a constant, reordered by `perm` and then given `shape`; shared between its users. */
  constant(
    constant: Constant,
    shape: readonly number[] = constant.shape,
    perm: Perm = identityPerm(constant.shape.length),
  ): string {
    if (constant.dtype === 'string') throw new UserError('A string constant cannot be exported to ONNX.');
    let id = this.#constantIds.get(constant);
    if (id === undefined) {
      id = this.#constantIds.size;
      this.#constantIds.set(constant, id);
    }
    const key = `${id}[${shape}](${isIdentity(perm) ? '' : perm})`;
    let name = this.#constants.get(key);
    if (name === undefined) {
      const small = constant.name === undefined && sizeOf(shape) <= 16;
      const stored = reshapeConstant(permuteConstant(constant, perm), shape);
      name = small
        ? this.build.literal(constant.dtype, shape, Array.from(stored.load() as Float32Array, Number))
        : this.build.initializer(stored);
      this.#constants.set(key, name);
    }
    return name;
  }

  /** `value` as an operand of an operation on tensors of `rank` dimensions stored as `perm`: broadcast from the left, as ONNX does. */
  operand(value: GraphValue, rank: number, perm: Perm): string {
    const missing = rank - value.shape.length;
    if (missing === 0) return this.name(value, perm);
    const own = perm.filter(p => p >= missing).map(p => p - missing);
    const places = perm.map(p => (p >= missing ? value.shape[p - missing]! : 1));
    const first = perm.findIndex(p => p >= missing);
    const shape = first < 0 ? [] : places.slice(first);
    if (value.constant) return this.constant(value.constant, shape as number[], own);
    const name = this.name(value, own);
    const axes = perm.slice(Math.max(first, 0)).flatMap((p, i) => (p < missing ? [i] : []));
    return axes.length === 0 || first < 0 ? name : this.op('Unsqueeze', [name, this.build.ints(axes)]);
  }

  /** The storage order in which an operation over `values` moves the least data. */
  choosePerm(values: readonly GraphValue[], rank: number): Perm {
    const full = values.filter(v => !v.constant && v.shape.length === rank);
    for (const v of full) this.#settle(v);
    const candidates = full.flatMap(v => this.storedAs(v).map(s => s.perm));
    let best: Perm = identityPerm(rank);
    let bestCost = Number.POSITIVE_INFINITY;
    for (const perm of candidates) {
      let cost = 0;
      for (const v of full) {
        const has = this.storedAs(v).some(s => movesOnlyOnes(s.perm, perm, d => v.shape[d] === 1));
        if (!has) cost += sizeOf(v.samples[0]!);
      }
      const prefer = rank >= 4 ? !isIdentity(perm) : isIdentity(perm);
      if (cost < bestCost || (cost === bestCost && prefer)) {
        best = perm;
        bestCost = cost;
      }
    }
    return best;
  }

  /** Gives stored data another shape (in storage order). */
  reshape(name: string, shape: readonly Dim[]): string {
    const source = this.#reshapedFrom.get(name) ?? name;
    const known = this.#shapes.get(source);
    if (known && this.sameShape(known, shape)) return source;
    const result = this.op('Reshape', [source, this.shapeTensor(shape, true)]);
    this.#reshapedFrom.set(result, source);
    return result;
  }

  /** Stored data in the shape of other stored data, whatever its dynamic dimensions are. */
  reshapeLike(name: string, shape: readonly Dim[], like: string): string {
    if (shape.filter(isSymbolic).length < 2) return this.reshape(name, shape);
    return this.op('Reshape', [name, this.op('Shape', [like])]);
  }

  /** An int64 vector of sizes; where `inferOne` is set a single symbolic size may be written as -1. */
  shapeTensor(shape: readonly Dim[], inferOne = false): string {
    const symbolic = shape.filter(isSymbolic).length;
    if (symbolic === 0) return this.build.ints(shape as number[]);
    if (symbolic === 1 && inferOne) return this.build.ints(shape.map(d => (isSymbolic(d) ? -1 : d)));
    const parts = shape.map(d => this.dim(d));
    return parts.length === 1 ? parts[0]! : this.op('Concat', parts, {axis: 0});
  }

  /** A size as an int64 vector of one element. */
  dim(dim: Dim): string {
    if (!isSymbolic(dim)) return this.build.ints([dim]);
    const key = dimName(dim);
    const known = this.#dims.get(key);
    if (known !== undefined) return known;
    const name = this.#computeDim(dim, key);
    this.#dims.set(key, name);
    return name;
  }

  #computeDim(dim: SymbolicDim, key: string): string {
    const source = this.#dimSources.get(key);
    if (source) {
      const shape = this.op('Shape', [source.input]);
      return this.op('Gather', [shape, this.build.ints([source.axis])], {axis: 0});
    }
    let above: string | undefined;
    let below: string | undefined;
    for (const {dim: base, offset, power} of dim.factors) {
      const plain: SymbolicDim = {numerator: 1, denominator: 1, factors: [{dim: base, offset: 0, power: 1}]};
      if (dimName(dim) === dimName(plain))
        throw new UserError(`No input of the exported function has a dimension "${base}".`);
      const size = this.dim(plain);
      const term = offset === 0 ? size : this.op('Add', [size, this.build.ints([offset])]);
      for (let i = 0; i < Math.abs(power); i++) {
        if (power > 0) above = above === undefined ? term : this.op('Mul', [above, term]);
        else below = below === undefined ? term : this.op('Mul', [below, term]);
      }
    }
    if (above === undefined) above = this.build.ints([dim.numerator]);
    else if (dim.numerator !== 1) above = this.op('Mul', [above, this.build.ints([dim.numerator])]);
    if (dim.denominator !== 1) {
      const d = this.build.ints([dim.denominator]);
      below = below === undefined ? d : this.op('Mul', [below, d]);
    }
    return below === undefined ? above : this.op('Div', [above, below]);
  }

  cast(name: string, to: keyof typeof onnxDataType): string {
    return this.op('Cast', [name], {to: onnxDataType[to]});
  }

  /** What `f` gives for every traced size, which must be one and the same. */
  same<T>(node: GraphNode, what: string, f: (trace: number) => T): T {
    const results = this.sizes.map((_, k) => f(k));
    const texts = results.map(r => JSON.stringify(r));
    if (texts.some(t => t !== texts[0]))
      this.fail(node, `its ${what} depends on a dynamic dimension (${[...new Set(texts)].join(', ')})`);
    return results[0]!;
  }

  sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
    return a.length === b.length && a.every((d, i) => sameDim(d, b[i]!));
  }
}
