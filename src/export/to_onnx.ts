// toOnnx: any TensorFlow.js function, traced and turned into an ONNX model.

import {UserError} from '../platform/user_error.ts';
import type * as tf from '../tf.ts';
import {GraphBuilder, type OnnxInitializer, type OnnxNode, type OnnxValueInfo} from './builder.ts';
import type {DimSizes} from './dims.ts';
import {Emitter} from './emitter.ts';
import {loadFoldingKernels} from './fold.ts';
import {type Graph, unify} from './graph.ts';
import {fill} from './kernels/Fill.ts';
import {kernelSpecs, refusedKernels} from './kernels/index.ts';
import {type TracedFunction, type TraceInput, theRecorder, trace} from './recorder.ts';

/** A dimension whose size is chosen when the model runs. `example` is one valid size, `step` the distance between valid sizes. */
export interface DynamicDim {
  readonly dim: string;
  readonly example: number;
  readonly step?: number;
}

export interface OnnxInput {
  readonly name: string;
  readonly shape: readonly (number | DynamicDim)[];
  readonly dtype: 'float32' | 'int32' | 'bool';
}

export interface OnnxOptions {
  /** Default 17, which old runtimes take; up to 23. */
  readonly opset?: number;
  /** Default: the version that came with the opset, 8 for 17. */
  readonly irVersion?: number;
  /** Tensors that are to be kept as initializers under these names. */
  readonly weights?: ReadonlyMap<string, tf.Tensor>;
  /** How weights are stored; computation is in float32 either way. */
  readonly weightType?: 'float32' | 'float16';
  readonly metadata?: Readonly<Record<string, string>>;
  readonly graphName?: string;
}

export interface OnnxModel {
  readonly opset: number;
  readonly irVersion: number;
  readonly graphName: string;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
  readonly metadata: Readonly<Record<string, string>>;
}

const irOfOpset: Readonly<Record<number, number>> = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11};

/**
 * Traces `fn` and returns the ONNX model that computes the same. `fn` takes its inputs by name and returns a tensor (named
 * "output") or several by name; it runs several times on a shape-only engine when there are dynamic dimensions, so it must not
 * depend on anything but its inputs. The weights must stay alive until the model is written.
 * Throws UserError where a kernel has no ONNX form, naming the kernel and its caller.
 */
export async function toOnnx(
  fn: TracedFunction,
  inputs: readonly OnnxInput[],
  options: OnnxOptions = {},
): Promise<OnnxModel> {
  const opset = options.opset ?? 17;
  const irVersion = options.irVersion ?? irOfOpset[opset];
  if (irVersion === undefined) throw new UserError(`Opset ${opset} is not supported; choose 17 to 23.`);
  await loadFoldingKernels();
  const recorder = theRecorder(kernelSpecs, refusedKernels);
  const sizes = tracedSizes(inputs);
  const traces = [];
  for (const size of sizes)
    traces.push(await trace(recorder, fn, concrete(inputs, size), options.weights ?? new Map()));
  const graph = unify(traces, sizes, fill);
  const build = new GraphBuilder({opset, halfWeights: options.weightType === 'float16'});
  const {inputInfos, outputInfos} = emitGraph(graph, build);
  return {
    opset,
    irVersion,
    graphName: options.graphName ?? 'graph',
    inputs: inputInfos,
    outputs: outputInfos,
    nodes: build.nodes,
    initializers: [...build.initializers.values()],
    metadata: options.metadata ?? {},
  };
}

function emitGraph(graph: Graph, build: GraphBuilder) {
  const emitter = new Emitter(build, graph.sizes);
  const inputInfos: OnnxValueInfo[] = [];
  for (const [name, value] of graph.inputs) {
    build.unique(name);
    emitter.set(value, name);
    emitter.declareInput(name, value.shape);
    inputInfos.push({name, dtype: realType(value.dtype, name), shape: value.shape});
  }
  for (const name of graph.outputs.keys()) {
    if (build.unique(name) !== name)
      throw new UserError(`"${name}" is both an input and an output; ONNX needs two names.`);
  }
  graph.nodes.forEach((node, i) => {
    const weight = Object.values(node.inputs).find(v => v.constant?.name !== undefined)?.constant?.name;
    build.scope(weight?.replace(/\.[^.]*$/, '') ?? `${node.spec.kernel}_${i}`);
    node.spec.emit(emitter, node);
  });
  build.scope('outputs');
  const outputInfos: OnnxValueInfo[] = [];
  for (const [name, value] of graph.outputs) {
    build.nodes.push({
      op: 'Identity',
      name: `/outputs/${name}`,
      inputs: [emitter.name(value)],
      outputs: [name],
      attributes: {},
    });
    outputInfos.push({name, dtype: realType(value.dtype, name), shape: value.shape});
  }
  build.prune([...graph.outputs.keys()]);
  return {inputInfos, outputInfos};
}

function realType(dtype: tf.DataType, name: string): 'float32' | 'int32' | 'bool' {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new UserError(`"${name}" has type ${dtype}; an exported function takes and gives float32, int32 and bool.`);
}

function dynamicDims(inputs: readonly OnnxInput[]): Map<string, DynamicDim> {
  const dims = new Map<string, DynamicDim>();
  for (const input of inputs) {
    for (const d of input.shape) {
      if (typeof d === 'number') continue;
      const known = dims.get(d.dim);
      if (known && (known.example !== d.example || known.step !== d.step)) {
        throw new UserError(
          `Dimension "${d.dim}" is given twice with different examples (${known.example} and ${d.example}).`,
        );
      }
      dims.set(d.dim, d);
    }
  }
  return dims;
}

/** The base sizes, each dimension changed alone twice, and all changed at once. */
function tracedSizes(inputs: readonly OnnxInput[]): DimSizes[] {
  const dims = [...dynamicDims(inputs).values()];
  const base = Object.fromEntries(dims.map(d => [d.dim, d.example]));
  const sizes: DimSizes[] = [base];
  for (const d of dims) {
    for (const steps of [1, 3]) sizes.push({...base, [d.dim]: d.example + steps * (d.step ?? 1)});
  }
  if (dims.length > 1) sizes.push(Object.fromEntries(dims.map((d, i) => [d.dim, d.example + (2 + i) * (d.step ?? 1)])));
  return sizes;
}

/** The inputs at given sizes of the dynamic dimensions. */
export function concrete(inputs: readonly OnnxInput[], sizes: DimSizes): TraceInput[] {
  return inputs.map(input => ({
    name: input.name,
    dtype: input.dtype,
    shape: input.shape.map(d => (typeof d === 'number' ? d : (sizes[d.dim] ?? d.example))),
  }));
}
