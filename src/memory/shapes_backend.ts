// A TensorFlow.js backend that holds no data: kernels compute the shapes of their outputs, and bytes are counted as an engine
// would hold them, so that a whole training step of any size can be measured in seconds on a machine that could not run it.
import type {KernelSpec} from '../export/kernel_spec.ts';
import {Attributes, type AttributeValue, kernelSpecs} from '../export/shape_inference.ts';
import * as tf from '../tf.ts';
import {alignedBytes, fusedGradients, type Inferred, type Sized, savedByAttention, workspace} from './torch_kernels.ts';

/** No underscore: TensorFlow.js splits its kernel keys at the first one. */
const NAME = 'shapes';

const bytesOfType: Readonly<Record<string, number>> = {float32: 4, int32: 4, bool: 1, complex64: 8, string: 4};

interface Stored {
  readonly bytes: number;
  readonly size: number;
  references: number;
}

export class ShapesBackend extends tf.KernelBackend {
  readonly #stored = new Map<object, Stored>();
  /** Bytes of live tensors now, and the most there were, workspaces of kernels included. */
  live = 0;
  peak = 0;

  add(shape: readonly number[], dtype: tf.DataType): object {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const bytes = alignedBytes(size * (bytesOfType[dtype] ?? 4));
    const dataId = {};
    this.#stored.set(dataId, {bytes, size, references: 1});
    this.live += bytes;
    this.peak = Math.max(this.peak, this.live);
    return dataId;
  }

  /** A kernel is running that needs so many bytes beside its outputs. */
  need(bytes: number): void {
    this.peak = Math.max(this.peak, this.live + bytes);
  }

  resetPeak(): void {
    this.peak = this.live;
  }

  override write(_values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    return this.add(shape, dtype);
  }
  override move(dataId: object, _values: tf.BackendValues, shape: number[], dtype: tf.DataType): void {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const bytes = alignedBytes(size * (bytesOfType[dtype] ?? 4));
    this.#stored.set(dataId, {bytes, size, references: 1});
    this.live += bytes;
  }
  /** Zeros: there is nothing to read. */
  override readSync(dataId: object): tf.BackendValues {
    return new Float32Array(this.#stored.get(dataId)?.size ?? 0);
  }
  override async read(dataId: object): Promise<tf.BackendValues> {
    return this.readSync(dataId);
  }
  override disposeData(dataId: object, force = false): boolean {
    const stored = this.#stored.get(dataId);
    if (!stored) return true;
    stored.references -= 1;
    if (!force && stored.references > 0) return false;
    this.#stored.delete(dataId);
    this.live -= stored.bytes;
    return true;
  }
  override incRef(dataId: object): void {
    const stored = this.#stored.get(dataId);
    if (stored) stored.references += 1;
  }
  override refCount(dataId: object): number {
    return this.#stored.get(dataId)?.references ?? 0;
  }
  override numDataIds(): number {
    return this.#stored.size;
  }
  override memory(): {unreliable: boolean} {
    return {unreliable: false};
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
}

/** Kernels whose output is their input's memory under another shape. */
const aliases = new Set(['Reshape', 'Identity', 'ExpandDims']);

let registered: ShapesBackend | undefined;

/** Makes it TensorFlow.js's backend while `use` runs, then puts back the one before. */
export async function withShapesBackend<T>(use: (backend: ShapesBackend) => Promise<T>): Promise<T> {
  const backend = theBackend();
  const before: string | undefined = tf.engine().backendName;
  await tf.setBackend(NAME);
  try {
    return await use(backend);
  } finally {
    if (before) await tf.setBackend(before);
  }
}

function theBackend(): ShapesBackend {
  if (registered) return registered;
  const backend = new ShapesBackend();
  tf.registerBackend(NAME, () => backend, 0);
  for (const spec of kernelSpecs) register(backend, spec.kernel, (inputs, attrs) => inferredBy(spec, inputs, attrs));
  for (const [kernel, infer] of Object.entries(fusedGradients)) register(backend, kernel, infer);
  registered = backend;
  return backend;
}

type Infer = (inputs: Readonly<Record<string, Sized>>, attrs: Readonly<Record<string, unknown>>) => Inferred[];

function register(backend: ShapesBackend, kernelName: string, infer: Infer): void {
  tf.registerKernel({
    kernelName,
    backendName: NAME,
    kernelFunc: ({inputs, attrs}) => {
      const attributes = (attrs ?? {}) as Record<string, unknown>;
      const given = Object.fromEntries(Object.entries(inputs).filter(([, input]) => input)) as Record<
        string,
        tf.TensorInfo
      >;
      const outputs = infer(given, attributes);
      const x = given.x ?? given.input;
      const shared = aliases.has(kernelName) || (kernelName === 'Cast' && x?.dtype === attributes.dtype);
      if (shared && x) {
        backend.incRef(x.dataId);
        return {dataId: x.dataId, shape: [...outputs[0]!.shape], dtype: outputs[0]!.dtype};
      }
      const saved = savedByAttention(kernelName, given, attributes);
      const made = outputs.map(({shape, dtype}, i) => {
        const own = i === 1 && saved ? saved : shape;
        return {dataId: backend.add(own, dtype), shape: [...own], dtype};
      });
      backend.need(workspace(kernelName, given, attributes, outputs));
      return made.length === 1 && !listed.has(kernelName) ? made[0]! : made;
    },
  });
}

/** Kernels that give a list also where it has one entry: the fused ones, and those that cut. */
const listed = new Set([
  ...Object.keys(fusedGradients),
  ...['SplitV', 'Unpack', 'FusedGroupNorm', 'FusedLayerNorm', 'ScaledDotProductAttention', 'TemporalAttention'],
  ...['Geglu', 'FusedActivation', 'UpsampleNearest2x', 'AlphaMix', 'BiasTimestepAdd'],
]);

function inferredBy(
  spec: KernelSpec,
  inputs: Readonly<Record<string, Sized>>,
  attrs: Readonly<Record<string, unknown>>,
): Inferred[] {
  const attributes = new Attributes(attrs as Readonly<Record<string, AttributeValue>>, () => spec.kernel);
  const inferred = spec.infer(inputs, attributes);
  return Array.isArray(inferred) ? inferred : [inferred];
}
