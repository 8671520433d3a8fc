// Tensors as bytes in main memory: what files hold, before any engine sees them.
import {bf16ToF32, f16ToF32, f32ToBf16, f32ToF16} from './half.ts';

/** Bytes of one element. */
export const dtypeBytes = {F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, U8: 1} as const;

export type Dtype = keyof typeof dtypeBytes;

export function isDtype(text: string): text is Dtype {
  return Object.hasOwn(dtypeBytes, text);
}

/** `data` is little-endian, row-major, `elements(shape) * dtypeBytes[dtype]` long. */
export interface HostTensor {
  dtype: Dtype;
  shape: readonly number[];
  data: Uint8Array;
}

/** How many elements a shape holds (1 for a scalar). */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A float32 tensor over the array's own memory (no copy). */
export function hostF32(shape: readonly number[], values: Float32Array): HostTensor {
  if (elements(shape) !== values.length) {
    throw new RangeError(`A tensor of shape [${shape}] needs ${elements(shape)} values, got ${values.length}.`);
  }
  return {dtype: 'F32', shape, data: bytesOf(values)};
}

/** An I64 tensor of integers (at most 2^53 in magnitude). */
export function hostI64(shape: readonly number[], values: ArrayLike<number>): HostTensor {
  return {dtype: 'I64', shape, data: bytesOf(BigInt64Array.from(Array.from(values, BigInt)))};
}

/** The values as float32: F32 as a view where memory is aligned, 16-bit floats converted exactly, integers rounded. */
export function f32(tensor: HostTensor): Float32Array {
  switch (tensor.dtype) {
    case 'F32':
      return aligned(tensor.data, 4, Float32Array);
    case 'F16':
      return f16ToF32(aligned(tensor.data, 2, Uint16Array));
    case 'BF16':
      return bf16ToF32(aligned(tensor.data, 2, Uint16Array));
    case 'I64':
      return Float32Array.from(aligned(tensor.data, 8, BigInt64Array), Number);
    case 'I32':
      return Float32Array.from(aligned(tensor.data, 4, Int32Array));
    case 'U8':
      return Float32Array.from(tensor.data);
    default:
      return tensor.dtype satisfies never;
  }
}

/** The values of an integer tensor as plain numbers. @throws RangeError for a float tensor or beyond 2^53. */
export function integersOf(tensor: HostTensor): number[] {
  if (tensor.dtype === 'U8') return [...tensor.data];
  if (tensor.dtype === 'I32') return [...aligned(tensor.data, 4, Int32Array)];
  if (tensor.dtype !== 'I64') throw new RangeError(`Expected an integer tensor, got ${tensor.dtype}.`);
  return Array.from(aligned(tensor.data, 8, BigInt64Array), value => {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw new RangeError(`The integer ${value} is beyond 2^53.`);
    return number;
  });
}

/** The same values as another float type (a view when it is that type already). */
export function toFloatDtype(tensor: HostTensor, dtype: 'F32' | 'F16' | 'BF16'): HostTensor {
  if (tensor.dtype === dtype) return tensor;
  const values = f32(tensor);
  const converted = dtype === 'F32' ? values : dtype === 'F16' ? f32ToF16(values) : f32ToBf16(values);
  return {dtype, shape: tensor.shape, data: bytesOf(converted)};
}

/** The bytes of a typed array (a view). */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

type Typed<T> = new (buffer: ArrayBufferLike, offset: number, length: number) => T;

/** A typed view of bytes; a copy first where their place in memory is not a multiple of the element size. */
function aligned<T>(data: Uint8Array, bytes: number, type: Typed<T>): T {
  const source = data.byteOffset % bytes === 0 ? data : data.slice();
  return new type(source.buffer, source.byteOffset, source.length / bytes);
}
