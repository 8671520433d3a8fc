// The graph that several traces of one function agree on: sizes that differ between the traces become expressions of the
// dynamic dimensions, kernels fed by constants alone become constants, and what no output needs is left out.

import {UserError} from '../platform/user_error.ts';
import type * as tf from '../tf.ts';
import {Attributes, type AttributeValue} from './attributes.ts';
import type {Constant} from './constants.ts';
import {type Dim, type DimSizes, fitDim, isSymbolic} from './dims.ts';
import {evaluateOnCpu} from './fold.ts';
import type {KernelSpec} from './kernel_spec.ts';
import type {Trace, TracedNode, TracedValue} from './recorder.ts';

export interface GraphValue {
  readonly shape: readonly Dim[];
  /** The shape in each trace. */
  readonly samples: readonly (readonly number[])[];
  readonly dtype: tf.DataType;
  readonly constant?: Constant;
}

export interface GraphNode {
  readonly spec: KernelSpec;
  readonly inputs: Readonly<Record<string, GraphValue>>;
  readonly attributes: Attributes;
  readonly outputs: readonly GraphValue[];
  readonly caller: () => string;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: ReadonlyMap<string, GraphValue>;
  readonly outputs: ReadonlyMap<string, GraphValue>;
  readonly sizes: readonly DimSizes[];
}

/** Merges traces made at sizes[k]; `fill` is the kernel that stands for constants whose shape is dynamic. */
export function unify(traces: readonly Trace[], sizes: readonly DimSizes[], fill: KernelSpec): Graph {
  const values = new Map<TracedValue, GraphValue>();
  const nodes: GraphNode[] = [];
  const reached = traces.map(reachable);
  const [first] = reached;
  if (!first) throw new Error('unify needs at least one trace.');
  for (const other of reached) {
    if (other.length !== first.length || other.some((node, i) => node.spec !== first[i]!.spec)) {
      const at = first.findIndex((node, i) => node.spec !== other[i]?.spec);
      const where = first[at] ? `${first[at].spec.kernel} in ${first[at].caller()}` : 'its end';
      throw new UserError(
        `The function takes another path when its dynamic dimensions change (first at ${where}); make those dimensions static.`,
      );
    }
  }

  const merge = (same: readonly TracedValue[], owner: () => string): GraphValue => {
    const base = same[0]!;
    const known = values.get(base);
    if (known) return known;
    const samples = same.map(v => v.shape);
    const shape = base.shape.map((_, axis) =>
      fit(
        samples.map(s => s[axis]!),
        sizes,
        () => `the shape [${base.shape}] in ${owner()}`,
      ),
    );
    let value: GraphValue = {shape, samples, dtype: base.dtype};
    if (base.source.kind === 'constant') value = constantValue(same, value, owner);
    values.set(base, value);
    return value;
  };

  const constantValue = (same: readonly TracedValue[], value: GraphValue, owner: () => string): GraphValue => {
    const constants = same.map(v => {
      if (v.source.kind !== 'constant')
        throw new UserError(
          `A constant in ${owner()} is computed when the sizes change; make the dynamic dimensions static.`,
        );
      return v.source;
    });
    const base = constants[0]!;
    const fixed = value.shape.every(d => !isSymbolic(d));
    if (fixed && constants.every(c => c.identity === base.identity || sameData(c.constant, base.constant))) {
      return {...value, constant: base.constant};
    }
    const splats = constants.map(
      ({constant}) => constant.splat ?? (constant.shape.every(d => d === 1) ? Number(constant.load()[0]) : Number.NaN),
    );
    const one = splats.every(s => !Number.isNaN(s)) ? fitDim(splats, sizes) : undefined;
    if (one === undefined) {
      throw new UserError(
        `A constant of shape [${base.constant.shape}] in ${owner()} is computed on the host from a dynamic dimension; build it from tensor operations (tf.range, tf.fill) or make the dimension static.`,
      );
    }
    const attributes = new Attributes({shape: value.shape, value: one, dtype: value.dtype}, () => 'Fill');
    nodes.push({spec: fill, inputs: {}, attributes, outputs: [value], caller: owner});
    return value;
  };

  first.forEach((base, i) => {
    const same = reached.map(r => r[i]!);
    const owner = () => `${base.spec.kernel}, called in ${base.caller()}`;
    const inputs: Record<string, GraphValue> = {};
    for (const key of Object.keys(base.inputs))
      inputs[key] = merge(
        same.map(n => n.inputs[key]!),
        owner,
      );
    const merged = Object.fromEntries(
      Object.keys(base.attributes).map(key => [
        key,
        mergeAttribute(
          same.map(n => n.attributes[key]),
          sizes,
          () => `attribute ${key} of ${owner()}`,
        ),
      ]),
    );
    const outputs = base.outputs.map((output, index) => {
      const value = merge(
        same.map(n => n.outputs[index]!),
        owner,
      );
      const constant = folded(base, inputs, merged, value, index);
      if (!constant) return value;
      const known = {...value, constant};
      values.set(output, known);
      return known;
    });
    if (outputs.some(o => !o.constant)) {
      nodes.push({spec: base.spec, inputs, attributes: new Attributes(merged, owner), outputs, caller: base.caller});
    }
  });

  const mergeNamed = (pick: (t: Trace) => ReadonlyMap<string, TracedValue>) => {
    const names = [...pick(traces[0]!).keys()];
    return new Map(
      names.map(name => [
        name,
        merge(
          traces.map(t => pick(t).get(name)!),
          () => `"${name}"`,
        ),
      ]),
    );
  };
  return {nodes, inputs: mergeNamed(t => t.inputs), outputs: mergeNamed(t => t.outputs), sizes};
}

/**
 * The nodes that the outputs need, each after those that it needs. They are found from the outputs, not taken from the order of
 * the calls: tables that a model made in an earlier trace and kept belong to this graph too.
 */
function reachable(trace: Trace): TracedNode[] {
  const order: TracedNode[] = [];
  const state = new Map<TracedNode, 'open' | 'done'>();
  const pending = [...trace.outputs.values()].toReversed().flatMap(producer);
  while (pending.length > 0) {
    const node = pending.at(-1)!;
    if (state.get(node) === undefined) {
      state.set(node, 'open');
      pending.push(
        ...Object.values(node.inputs)
          .toReversed()
          .flatMap(producer)
          .filter(n => !state.has(n)),
      );
      continue;
    }
    pending.pop();
    if (state.get(node) === 'open') order.push(node);
    state.set(node, 'done');
  }
  return order;
}

function producer(value: TracedValue): TracedNode[] {
  return value.source.kind === 'node' ? [value.source.node] : [];
}

function fit(samples: readonly number[], sizes: readonly DimSizes[], what: () => string): Dim {
  const dim = fitDim(samples, sizes);
  if (dim === undefined) {
    throw new UserError(
      `No expression of the dynamic dimensions gives ${what()}: it is ${samples.join(', ')} at ${JSON.stringify(sizes)}; make a dimension static or a multiple of what the model needs.`,
    );
  }
  return dim;
}

function mergeAttribute(
  same: readonly AttributeValue[],
  sizes: readonly DimSizes[],
  what: () => string,
): AttributeValue {
  const base = same[0];
  if (Array.isArray(base)) {
    const lists = same as readonly (readonly AttributeValue[])[];
    if (lists.some(l => l.length !== base.length))
      throw new UserError(`The length of ${what()} depends on a dynamic dimension; make it static.`);
    return base.map((_, i) =>
      mergeAttribute(
        lists.map(l => l[i]),
        sizes,
        what,
      ),
    );
  }
  if (typeof base === 'number') return fit(same as readonly number[], sizes, what);
  if (same.some(v => v !== base))
    throw new UserError(`The value of ${what()} depends on a dynamic dimension; make it static.`);
  return base;
}

function isStatic(value: AttributeValue): boolean {
  if (Array.isArray(value)) return value.every(isStatic);
  return value === null || typeof value !== 'object';
}

function folded(
  node: TracedNode,
  inputs: Readonly<Record<string, GraphValue>>,
  attributes: Readonly<Record<string, AttributeValue>>,
  output: GraphValue,
  index: number,
): Constant | undefined {
  const {kernel} = node.spec;
  if (output.shape.some(isSymbolic) || !Object.values(attributes).every(isStatic)) return undefined;
  const constants: Record<string, Constant> = {};
  for (const [key, input] of Object.entries(inputs)) {
    if (!input.constant) return undefined;
    constants[key] = input.constant;
  }
  return evaluateOnCpu(kernel, constants, attributes, {shape: output.shape as number[], dtype: output.dtype, index});
}

function sameData(a: Constant, b: Constant): boolean {
  if (a.dtype !== b.dtype || a.shape.length !== b.shape.length || a.shape.some((s, i) => s !== b.shape[i]))
    return false;
  if (a.splat !== undefined && a.splat === b.splat) return true;
  const x = a.load();
  const y = b.load();
  for (let i = 0; i < x.length; i++) if (!Object.is(x[i], y[i])) return false;
  return true;
}
