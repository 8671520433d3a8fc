// A shape-only TensorFlow.js backend: kernels compute the shapes of their outputs and are written down, activations hold no data.
// Tensors of another engine (weights) are taken as constants and read from where they lie only when the file is written.

import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {Attributes, type AttributeValue} from './attributes.ts';
import {callerLater, callerOf} from './caller.ts';
import type {Constant, ConstantData, ConstantType} from './constants.ts';
import {evaluateOnCpu} from './fold.ts';
import type {KernelSpec, TensorShape} from './kernel_spec.ts';

export const recorderName = 'recorder'; // no underscore: TensorFlow.js splits its kernel keys at the first one

export interface TracedValue {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  readonly source:
    | {readonly kind: 'input'; readonly name: string}
    | {readonly kind: 'constant'; readonly constant: Constant; readonly identity: object}
    | {readonly kind: 'node'; readonly node: TracedNode; readonly index: number};
}

export interface TracedNode {
  readonly spec: KernelSpec;
  readonly inputs: Readonly<Record<string, TracedValue>>;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly outputs: TracedValue[];
  /** Where the kernel was called from; worked out when somebody asks. */
  readonly caller: () => string;
}

export interface Trace {
  readonly inputs: ReadonlyMap<string, TracedValue>;
  readonly outputs: ReadonlyMap<string, TracedValue>;
}

const smallestForeignSplat = 2;

/** The storage side of the recorder; what it stores is how a value came to be. */
export class RecorderBackend extends tf.KernelBackend {
  readonly #values = new WeakMap<object, TracedValue>();
  readonly #foreign = new WeakMap<object, TracedValue>();
  weightNames: ReadonlyMap<object, string> = new Map();
  readonly #references = new WeakMap<object, number>();
  #count = 0;

  add(value: TracedValue): object {
    const dataId = {};
    this.#values.set(dataId, value);
    this.#references.set(dataId, 1);
    this.#count++;
    return dataId;
  }

  lookUp(tensor: tf.TensorInfo): TracedValue {
    const known = this.#values.get(tensor.dataId) ?? this.#foreign.get(tensor.dataId);
    if (known) return known;
    const dtype = constantType(tensor.dtype);
    const held = tensor as tf.Tensor;
    const name = this.weightNames.get(tensor.dataId);
    const constant: Constant = {
      dtype,
      shape: tensor.shape,
      load: () => held.dataSync() as ConstantData,
      ...(name === undefined ? {} : {name}),
    };
    const value: TracedValue = {
      shape: tensor.shape,
      dtype: tensor.dtype,
      source: {kind: 'constant', constant, identity: tensor.dataId},
    };
    this.#foreign.set(tensor.dataId, value);
    return value;
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const data = values as ConstantData;
    const first = dtype === 'string' ? undefined : Number(data[0]);
    const splat =
      first !== undefined && data.length >= smallestForeignSplat && (data as Float32Array).every(v => v === first)
        ? first
        : undefined;
    const constant: Constant = {
      dtype: constantType(dtype),
      shape,
      load: () => data,
      ...(splat === undefined ? {} : {splat}),
    };
    return this.add({shape, dtype, source: {kind: 'constant', constant, identity: constant}});
  }

  override readSync(dataId: object): tf.BackendValues {
    const value = this.#values.get(dataId);
    if (!value) throw new Error('The recorder was asked for a tensor that it did not record.');
    const constant = constantValue(value);
    if (constant) return constant.load() as tf.BackendValues;
    const kernel = value.source.kind === 'node' ? `the result of kernel ${value.source.node.spec.kernel}` : 'an input';
    throw new UserError(
      `The function reads ${kernel} (shape [${value.shape}]) on the host, in ${callerOf(new Error())}; an exported function must be made of tensor operations only.`,
    );
  }

  override async read(dataId: object): Promise<tf.BackendValues> {
    return this.readSync(dataId);
  }

  /** Says whether no tensor refers to the data any longer; how it came to be is kept as long as a graph needs it. */
  override disposeData(dataId: object, force = false): boolean {
    const left = force ? 0 : this.refCount(dataId) - 1;
    this.#references.set(dataId, left);
    if (left > 0) return false;
    this.#count--;
    return true;
  }
  override refCount(dataId: object): number {
    return this.#references.get(dataId) ?? 0;
  }
  override incRef(dataId: object): void {
    this.#references.set(dataId, this.refCount(dataId) + 1);
  }
  decRef(dataId: object): void {
    this.#references.set(dataId, this.refCount(dataId) - 1);
  }
  override numDataIds(): number {
    return this.#count;
  }
  override memory(): {unreliable: boolean} {
    return {unreliable: true};
  }
  override floatPrecision(): 16 | 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override timerAvailable(): boolean {
    return false;
  }
  override dispose(): void {}

  /** Writes one kernel call down and returns its outputs, which have shapes only. */
  record(
    spec: KernelSpec,
    inputs: tf.NamedTensorInfoMap,
    attributes: tf.NamedAttrMap,
  ): tf.TensorInfo | tf.TensorInfo[] {
    const named: Record<string, TracedValue> = {};
    for (const [key, tensor] of Object.entries(inputs)) {
      if (tensor !== undefined && tensor !== null) named[key] = this.lookUp(tensor);
    }
    const attrs = attributes as Record<string, AttributeValue>;
    const shapes = Object.fromEntries(Object.entries(named).map(([key, v]) => [key, shapeWithConstant(v)]));
    const inferred = spec.infer(shapes, new Attributes(attrs, () => spec.kernel));
    const node: TracedNode = {
      spec,
      inputs: named,
      attributes: copied(attrs),
      outputs: [],
      caller: callerLater(),
    };
    const infos = (Array.isArray(inferred) ? inferred : [inferred]).map((output, index) => {
      const value: TracedValue = {shape: output.shape, dtype: output.dtype, source: {kind: 'node', node, index}};
      node.outputs.push(value);
      return {dataId: this.add(value), shape: [...output.shape], dtype: output.dtype};
    });
    return Array.isArray(inferred) ? infos : infos[0]!;
  }
}

function constantType(dtype: tf.DataType): ConstantType {
  if (dtype === 'complex64')
    throw new UserError('A complex constant cannot be exported; build it with tf.complex of two real ones.');
  return dtype;
}

function shapeWithConstant(value: TracedValue): TensorShape {
  return {shape: value.shape, dtype: value.dtype, constant: () => constantValue(value)};
}

/** A value that follows from constants alone is one: the cpu engine computes it when it is needed. */
export function constantValue(value: TracedValue): Constant | undefined {
  const {source} = value;
  if (source.kind === 'constant') return source.constant;
  if (source.kind === 'input') return undefined;
  const inputs: Record<string, Constant> = {};
  for (const [key, input] of Object.entries(source.node.inputs)) {
    const constant = constantValue(input);
    if (!constant) return undefined;
    inputs[key] = constant;
  }
  const {spec, attributes} = source.node;
  return evaluateOnCpu(spec.kernel, inputs, attributes, {...value, index: source.index});
}

function copied(attributes: Record<string, AttributeValue>): Record<string, AttributeValue> {
  const copy = (v: AttributeValue): AttributeValue => {
    if (Array.isArray(v) || ArrayBuffer.isView(v)) return Array.from(v as readonly AttributeValue[], copy);
    return v !== null && typeof v === 'object' ? undefined : v; // a canvas or the like: no kernel that is mapped has one
  };
  return Object.fromEntries(Object.entries(attributes).map(([key, v]) => [key, copy(v)]));
}

let registered: RecorderBackend | undefined;

/** Registers the backend and its kernels once; `refused` are known kernels that have no ONNX form here. */
export function theRecorder(specs: readonly KernelSpec[], refused: Readonly<Record<string, string>>): RecorderBackend {
  if (registered) return registered;
  const backend = new RecorderBackend();
  tf.registerBackend(recorderName, () => backend, 0);
  for (const spec of specs) {
    tf.registerKernel({
      kernelName: spec.kernel,
      backendName: recorderName,
      kernelFunc: ({inputs, attrs}) => backend.record(spec, inputs, attrs ?? {}),
    });
  }
  for (const [kernelName, why] of Object.entries(refused)) {
    tf.registerKernel({
      kernelName,
      backendName: recorderName,
      kernelFunc: () => {
        throw new UserError(
          `Kernel ${kernelName}, called in ${callerOf(new Error())}, cannot be exported to ONNX: ${why}.`,
        );
      },
    });
  }
  registered = backend;
  return backend;
}

/** A tensor whose values are read only when they are needed: when a file is written, or when an engine computes with it. */
export function lazyTensor(
  recorder: RecorderBackend,
  name: string,
  shape: readonly number[],
  load: () => Float32Array,
): tf.Tensor {
  const constant: Constant = {dtype: 'float32', shape, name, load};
  const dataId = recorder.add({shape, dtype: 'float32', source: {kind: 'constant', constant, identity: constant}});
  return tf.engine().makeTensorFromDataId(dataId, [...shape], 'float32', recorder);
}

export interface TraceInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
}

export type TracedFunction = (inputs: Record<string, tf.Tensor>) => tf.Tensor | Record<string, tf.Tensor>;

/** Runs the function once on the recorder. `weights` names the constants that are weights. */
export async function trace(
  recorder: RecorderBackend,
  fn: TracedFunction,
  inputs: readonly TraceInput[],
  weights: ReadonlyMap<string, tf.Tensor>,
): Promise<Trace> {
  const before: string | undefined = tf.engine().backendName;
  recorder.weightNames = new Map([...weights].map(([path, tensor]) => [tensor.dataId, path]));
  const tracedInputs = new Map<string, TracedValue>();
  const outputs = new Map<string, TracedValue>();
  const limit = Error.stackTraceLimit;
  await tf.setBackend(recorderName);
  Error.stackTraceLimit = 40;
  try {
    tf.tidy(() => {
      const given: Record<string, tf.Tensor> = {};
      for (const {name, shape, dtype} of inputs) {
        const value: TracedValue = {shape, dtype, source: {kind: 'input', name}};
        tracedInputs.set(name, value);
        given[name] = tf.engine().makeTensorFromDataId(recorder.add(value), [...shape], dtype, recorder);
      }
      const result = fn(given);
      const named = result instanceof tf.Tensor ? {output: result} : result;
      for (const [name, tensor] of Object.entries(named)) outputs.set(name, recorder.lookUp(tensor));
    });
  } finally {
    Error.stackTraceLimit = limit;
    if (before !== undefined) await tf.setBackend(before);
  }
  return {inputs: tracedInputs, outputs};
}
