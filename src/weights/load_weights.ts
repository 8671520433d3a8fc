// Files -> the weights of a model, every key accounted for: what is missing, unexpected or of the wrong shape is listed and
// refused unless the caller says otherwise. One tensor is in memory at a time.
import type {Block, WeightSpec} from '../layers/block.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {type Dtype, f32, type HostTensor} from './host_tensor.ts';
import {holds} from './key_maps/layout.ts';
import {fromTorch, torchShape} from './layouts.ts';
import {zerosOf} from './zeros.ts';

/** Named tensors that can be read one by one: an open safetensors file, or tensors in memory. */
export interface WeightSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, {readonly shape: readonly number[]; readonly dtype?: Dtype}>;
  read(name: string): Promise<HostTensor>;
}

/** Tensors in memory as a source; `label` names them in errors. */
export function sourceOf(tensors: ReadonlyMap<string, HostTensor>, label: string): WeightSource {
  return {
    path: label,
    tensors,
    read: async name => {
      const tensor = tensors.get(name);
      if (!tensor) throw new UserError(`${label} holds no tensor "${name}".`);
      return tensor;
    },
  };
}

/** How the keys of a file met the weights of a model. */
export interface KeyReport {
  /** Weights by the name of the tensor that fills them, in the file's order. */
  readonly matched: ReadonlyMap<string, WeightSpec>;
  /** Paths of weights that no tensor fills. */
  readonly missing: readonly string[];
  /** Names of tensors that no weight takes. */
  readonly unexpected: readonly string[];
  readonly misshaped: readonly {
    readonly name: string;
    readonly expected: readonly number[];
    readonly found: readonly number[];
  }[];
}

export interface KeyOptions {
  /** The path of a tensor's weight, or undefined for one that is known and not wanted (training state of others). */
  readonly pathOf: (name: string) => string | undefined;
  /** Which weights the file is meant to fill; absent: all. */
  readonly wanted?: (spec: WeightSpec) => boolean;
}

/** Compares names and shapes; reads no values. */
export function matchKeys(
  specs: readonly WeightSpec[],
  source: WeightSource,
  {pathOf, wanted = () => true}: KeyOptions,
): KeyReport {
  const left = new Map(specs.filter(wanted).map(spec => [spec.path, spec]));
  const matched = new Map<string, WeightSpec>();
  const unexpected: string[] = [];
  const misshaped: {name: string; expected: readonly number[]; found: readonly number[]}[] = [];
  for (const [name, {shape}] of source.tensors) {
    const path = pathOf(name);
    if (path === undefined) continue;
    const spec = left.get(path);
    if (!spec) {
      unexpected.push(name);
      continue;
    }
    left.delete(path);
    if (holds(spec, shape)) matched.set(name, spec);
    else misshaped.push({name, expected: torchShape(spec.shape, spec.layout), found: shape});
  }
  return {matched, missing: [...left.keys()], unexpected, misshaped};
}

/** @throws UserError listing what does not fit, unless that kind is allowed. Wrong shapes are never allowed. */
export function refuseMismatch(
  report: KeyReport,
  file: string,
  allow: {missing?: boolean; unexpected?: boolean} = {},
): void {
  const complaints = [
    allow.missing ? '' : listed(report.missing, 'missing'),
    allow.unexpected ? '' : listed(report.unexpected, 'unexpected'),
    listed(
      report.misshaped.map(({name, expected, found}) => `${name} [${found}] instead of [${expected}]`),
      'of the wrong shape',
    ),
  ].filter(Boolean);
  if (complaints.length > 0)
    throw new UserError(`The weights in ${file} do not fit this model: ${complaints.join('; ')}.`);
}

/**
 * Fills the weights of a model. Weights the file does not hold keep their values (only where `allow.missing`).
 * @throws UserError listing every kind of key that does not fit.
 */
export async function loadWeights(
  model: Block,
  source: WeightSource,
  options: KeyOptions & {allow?: {missing?: boolean; unexpected?: boolean}},
): Promise<KeyReport> {
  const report = matchKeys(model.weightSpecs(), source, options);
  refuseMismatch(report, source.path, options.allow);
  const nameOf = new Map([...report.matched].map(([name, {path}]) => [path, name]));
  await model.allocateInOrder(nameOf.keys(), async spec => {
    const values = f32(await source.read(nameOf.get(spec.path)!));
    return tf.tensor(fromTorch(values, spec.shape, spec.layout), [...spec.shape], 'float32');
  });
  return report;
}

/** A weight's values in main memory, in TensorFlow.js's axis order. */
export interface HostWeight {
  readonly shape: readonly number[];
  readonly layout: WeightSpec['layout'];
  readonly data: Float32Array;
}

/** The same weights without an engine: float32 values by path; zeros that take no memory without `values`. @throws UserError listing every kind of key that does not fit. */
export async function readWeights(
  specs: readonly WeightSpec[],
  source: WeightSource,
  options: KeyOptions & {allow?: {missing?: boolean; unexpected?: boolean}; values?: boolean},
): Promise<Map<string, HostWeight>> {
  const report = matchKeys(specs, source, options);
  refuseMismatch(report, source.path, options.allow);
  const weights = new Map<string, HostWeight>();
  const {values = true} = options;
  for (const [name, {path, shape, layout}] of report.matched) {
    const data = values ? fromTorch(f32(await source.read(name)), shape, layout) : zerosOf(shape);
    weights.set(path, {shape, layout, data});
  }
  return weights;
}

const LISTED = 6;

function listed(names: readonly string[], what: string): string {
  if (names.length === 0) return '';
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : '';
  return `${names.length} ${what} (${names.slice(0, LISTED).join(', ')}${more})`;
}
