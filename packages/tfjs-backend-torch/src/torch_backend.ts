// Storage of the torch backend: data ids, reference counts, reads and writes. It computes nothing; kernels do.
import {
  type BackendTimingInfo,
  type BackendValues,
  type DataId,
  type DataType,
  engine,
  KernelBackend,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import {type Handle, type Native, native} from './binding.ts';
import {noteRead, refuseUnderCapture} from './capture.ts';
import {dtypeCodes} from './dtypes.ts';
import {StringTable} from './string_table.ts';

interface View {
  shape: readonly number[];
  handle: Handle;
}

/** What a TensorFlow.js data id of this backend is: the tensor's handle, and handles of it under other shapes. */
export class TorchData {
  handle: Handle;
  shape: readonly number[];
  dtype: DataType;
  refCount: number;
  views: View[] | undefined = undefined;
  /** The smallest and the largest of int32 values that the host gave, so that a GPU need not be asked; undefined where unknown. */
  range: readonly [low: number, high: number] | undefined = undefined;
  /** The backend that holds it; undefined after disposal. */
  owner: TorchBackend | undefined;

  constructor(owner: TorchBackend, handle: Handle, shape: readonly number[], dtype: DataType) {
    this.owner = owner;
    this.handle = handle;
    this.shape = shape;
    this.dtype = dtype;
    this.refCount = 1;
  }
}

/** Of up to 65,536 values. */
function rangeOf(values: ArrayLike<number>): TorchData['range'] {
  if (values.length === 0 || values.length > 1 << 16) return undefined;
  let [low, high] = [values[0]!, values[0]!];
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!;
    if (value < low) low = value;
    else if (value > high) high = value;
  }
  return [low, high];
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};

export interface EngineStats {
  /** Bytes in live tensors, bytes held in all (kept for reuse included), and the largest `allocated` so far. */
  allocated: number;
  reserved: number;
  peak: number;
  /** Calls of kernels that run the cpu backend's implementation. */
  adapterCalls: number;
  adapterKernels: Record<string, number>;
  /** Uploads of more than one element, and their bytes. */
  hostWrites: number;
  hostWriteBytes: number;
  /** Reads of tensors by the host. */
  hostReads: number;
  /** Copies of weights in the type and layout of products and convolutions: one per weight and step, none where frozen. */
  weightCopies: number;
}

/** TFJS_TORCH_CHECK=1 compares every result's shape with what its kernel promised; the tests run with it. */
const checkShapes = process.env.TFJS_TORCH_CHECK === '1';

/** Counted in one process for all instances, and never reset. */
const counters = {
  adapterCalls: 0,
  adapterKernels: {} as Record<string, number>,
  hostWrites: 0,
  hostWriteBytes: 0,
  hostReads: 0,
};

export class TorchBackend extends KernelBackend {
  readonly native: Native = native();
  readonly strings = new StringTable();
  #live = new Set<TorchData>();
  /** Data ids made by other backends whose tensors TensorFlow.js moved here. */
  #foreign = new WeakMap<object, TorchData>();
  #complex = 0;

  override write(values: BackendValues | null, shape: number[], dtype: DataType): DataId {
    const data = this.#track(this.#upload(values, shape, dtype), shape, dtype);
    if (dtype === 'int32' && values) data.range = rangeOf(values as ArrayLike<number>);
    return data;
  }

  override move(dataId: DataId, values: BackendValues, shape: number[], dtype: DataType, refCount: number): void {
    const handle = this.#upload(values, shape, dtype);
    const data = this.#track(handle, shape, dtype);
    data.refCount = refCount;
    this.#foreign.set(dataId, data);
  }

  #upload(values: BackendValues | null, shape: readonly number[], dtype: DataType): Handle {
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (dtype === 'string') {
      return this.native.upload(this.strings.intern((values ?? []) as Uint8Array[]), shape, dtypeCodes.string);
    }
    if (values === null) return this.native.fill(shape, 0, dtypeCodes[dtype]);
    if (size === 1 && dtype !== 'complex64') return this.native.fill(shape, Number(values[0]), dtypeCodes[dtype]);
    refuseUnderCapture(`An upload of ${dtype}[${shape}]`, 'upload');
    counters.hostWrites++;
    const typed = typedValues(values, dtype);
    counters.hostWriteBytes += typed.byteLength;
    return this.native.upload(typed, shape, dtypeCodes[dtype]);
  }

  #track(handle: Handle, shape: readonly number[], dtype: DataType): TorchData {
    const data = new TorchData(this, handle, shape, dtype);
    this.#live.add(data);
    if (dtype === 'string') this.strings.retain();
    if (dtype === 'complex64') this.#complex++;
    return data;
  }

  /** The data behind an id. A tensor of another backend is moved here first, as TensorFlow.js does. */
  data(dataId: DataId): TorchData {
    if (dataId instanceof TorchData && dataId.owner === this) return dataId;
    const moved = this.#foreign.get(dataId);
    if (moved?.owner === this) return moved;
    const known = engine().state.tensorInfo.get(dataId);
    if (!known || known.backend === this) throw new Error('the tensor was disposed');
    engine().moveData(this, dataId);
    const data = this.#foreign.get(dataId);
    if (!data) throw new Error('the tensor could not be moved to this backend');
    return data;
  }

  /** The handle under which the addon sees a tensor in the shape TensorFlow.js gives it. */
  handle(info: TensorInfo): Handle {
    const data = this.data(info.dataId);
    noteRead(data);
    if (sameShape(data.shape, info.shape)) return data.handle;
    data.views ??= [];
    for (const view of data.views) if (sameShape(view.shape, info.shape)) return view.handle;
    const handle = this.native.view(data.handle, info.shape);
    data.views.push({shape: info.shape.slice(), handle});
    return handle;
  }

  handles(infos: readonly (TensorInfo | undefined)[]): Handle[] {
    return infos.map(info => this.handle(info!));
  }

  optionalHandle(info: TensorInfo | undefined | null): Handle | undefined {
    return info ? this.handle(info) : undefined;
  }

  /** A kernel's result, from the handle that the addon returned. */
  output(handle: Handle, shape: number[], dtype: DataType): TensorInfo {
    if (checkShapes) this.#check(handle, shape);
    return {dataId: this.#track(handle, shape, dtype), shape, dtype};
  }

  #check(handle: Handle, shape: number[]): void {
    const actual = this.native.shapeOf(handle);
    if (!sameShape(actual, shape)) throw new Error(`the result has shape [${actual}], expected [${shape}]`);
  }

  /** A result whose handle has one shape and whose tensor another of the same size. */
  outputAs(handle: Handle, handleShape: number[], shape: number[], dtype: DataType): TensorInfo {
    return {dataId: this.output(handle, handleShape, dtype).dataId, shape, dtype};
  }

  /** `result`, whose values are all values of `x`: token numbers, say, that index an embedding next. */
  chosenFrom(x: TensorInfo, result: TensorInfo): TensorInfo {
    this.data(result.dataId).range = this.data(x.dataId).range;
    return result;
  }

  /** Writes the values of `source` where those of `target` are. */
  overwrite(target: TensorInfo, source: TensorInfo): void {
    this.native.assign(this.handle(target), this.handle(source));
    this.data(target.dataId).range = undefined;
  }

  /** The same data under another shape: no copy. */
  alias(info: TensorInfo, shape: number[]): TensorInfo {
    const data = this.data(info.dataId);
    data.refCount++;
    return {dataId: info.dataId, shape, dtype: info.dtype};
  }

  /** The same values in storage of their own. */
  copyOf(info: TensorInfo): TensorInfo {
    return this.output(this.native.clone(this.handle(info)), info.shape, info.dtype);
  }

  liveData(): Iterable<TorchData> {
    return this.#live;
  }

  override incRef(dataId: DataId): void {
    this.data(dataId).refCount++;
  }

  override refCount(dataId: DataId): number {
    const data = dataId instanceof TorchData && dataId.owner === this ? dataId : this.#foreign.get(dataId);
    return data?.owner === this ? data.refCount : 0;
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const data = dataId instanceof TorchData && dataId.owner === this ? dataId : this.#foreign.get(dataId);
    if (data?.owner !== this) return true;
    data.refCount--;
    if (!force && data.refCount > 0) return false;
    this.#release(data);
    this.#foreign.delete(dataId);
    return true;
  }

  #release(data: TorchData): void {
    data.owner = undefined;
    this.#live.delete(data);
    this.native.release(data.handle);
    for (const view of data.views ?? []) this.native.release(view.handle);
    data.views = undefined;
    if (data.dtype === 'string') this.strings.release();
    if (data.dtype === 'complex64') this.#complex--;
  }

  override readSync(dataId: DataId): BackendValues {
    const data = this.data(dataId);
    refuseUnderCapture(`A read of ${data.dtype}[${data.shape}]`, 'read');
    const values = hostArray(data);
    counters.hostReads++;
    this.native.read(data.handle, values);
    return data.dtype === 'string' ? this.strings.lookup(values as Int32Array) : values;
  }

  /** Copies on a thread of its own: the event loop goes on. */
  override async read(dataId: DataId): Promise<BackendValues> {
    const data = this.data(dataId);
    if (data.dtype === 'string') return this.readSync(dataId);
    refuseUnderCapture(`A read of ${data.dtype}[${data.shape}]`, 'read');
    counters.hostReads++;
    return this.native.readAsync(data.handle, hostArray(data));
  }

  /** A complex64 tensor counts three times, as TensorFlow.js expects: itself, its real and its imaginary part. */
  override numDataIds(): number {
    return this.#live.size + 2 * this.#complex;
  }

  override memory(): {unreliable: boolean} {
    return {unreliable: false};
  }

  override timerAvailable(): boolean {
    return true;
  }

  override async time(run: () => void): Promise<BackendTimingInfo> {
    const start = performance.now();
    run();
    return {kernelMs: performance.now() - start};
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override dispose(): void {
    for (const data of [...this.#live]) this.#release(data);
  }

  countAdapterCall(kernelName: string): void {
    counters.adapterCalls++;
    counters.adapterKernels[kernelName] = (counters.adapterKernels[kernelName] ?? 0) + 1;
  }
}

/** Counters of the process, and the allocator's figures. */
export function readStats(addon: Native): EngineStats {
  const [allocated, reserved, peak] = addon.memory();
  return {allocated, reserved, peak, ...counters, weightCopies: addon.weightCopies()};
}

function hostArray(data: TorchData): Float32Array | Int32Array | Uint8Array {
  const size = data.shape.reduce((product, extent) => product * extent, 1);
  switch (data.dtype) {
    case 'float32':
      return new Float32Array(size);
    case 'complex64':
      return new Float32Array(2 * size);
    case 'bool':
      return new Uint8Array(size);
    case 'int32':
    case 'string':
      return new Int32Array(size);
    default:
      return data.dtype satisfies never;
  }
}

function typedValues(values: BackendValues, dtype: DataType): Float32Array | Int32Array | Uint8Array {
  const numbers = values as ArrayLike<number>;
  switch (dtype) {
    case 'bool':
      return values instanceof Uint8Array ? values : Uint8Array.from(numbers);
    case 'int32':
      return values instanceof Int32Array ? values : Int32Array.from(numbers);
    default:
      return values instanceof Float32Array ? values : Float32Array.from(numbers);
  }
}
