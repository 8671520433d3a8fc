// Values known before the graph runs. Their data is produced when the file is written, one constant at a time, so that a model's
// weights never lie in memory twice; reordering one is done then too and costs no node.
import type {Perm} from './layout.ts';
import {isIdentity, permute} from './layout.ts';

export type ConstantType = 'float32' | 'int32' | 'int64' | 'bool' | 'string';
export type ConstantData = Float32Array | Int32Array | Uint8Array | BigInt64Array;

export interface Constant {
  readonly shape: readonly number[];
  readonly dtype: ConstantType;
  /** The weight's path, where the constant is a weight or a weight reordered. */
  readonly name?: string;
  /** The one value of all elements, where that is known. */
  readonly splat?: number;
  load(): ConstantData;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

export function typedArray(dtype: ConstantType, length: number): ConstantData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'int64':
      return new BigInt64Array(length);
    case 'bool':
      return new Uint8Array(length);
    case 'string':
      throw new Error('A string constant has no numeric data.');
  }
}

export function constantOf(dtype: ConstantType, shape: readonly number[], values: readonly number[]): Constant {
  return {
    dtype,
    shape,
    load: () => {
      const data = typedArray(dtype, values.length);
      if (data instanceof BigInt64Array) data.set(values.map(BigInt));
      else data.set(values);
      return data;
    },
  };
}

export function splatOf(dtype: ConstantType, shape: readonly number[], value: number): Constant {
  const load = () => {
    const data = typedArray(dtype, sizeOf(shape));
    return data instanceof BigInt64Array ? data.fill(BigInt(value)) : data.fill(value);
  };
  return {dtype, shape, splat: value, load};
}

export function reshapeConstant(c: Constant, shape: readonly number[]): Constant {
  if (sizeOf(shape) !== sizeOf(c.shape)) throw new Error(`Cannot reshape a constant of [${c.shape}] to [${shape}].`);
  return {...c, shape, load: () => c.load()};
}

export function permuteConstant(c: Constant, perm: Perm): Constant {
  if (isIdentity(perm)) return c;
  return {...c, shape: permute(c.shape, perm), load: () => transposed(c.load(), c.shape, perm)};
}

function transposed(data: ConstantData, shape: readonly number[], perm: Perm): ConstantData {
  const rank = shape.length;
  const strides = new Array<number>(rank).fill(1);
  for (let d = rank - 2; d >= 0; d--) strides[d] = strides[d + 1]! * shape[d + 1]!;
  const outShape = permute(shape, perm);
  const outStrides = permute(strides, perm);
  const out = new (data.constructor as new (n: number) => ConstantData)(data.length);
  const index = new Array<number>(rank).fill(0);
  const inner = outShape[rank - 1] ?? 1;
  const innerStride = outStrides[rank - 1] ?? 0;
  for (let at = 0, from = 0; at < data.length; at += inner) {
    for (let k = 0; k < inner; k++) out[at + k] = data[from + k * innerStride]!;
    for (let d = rank - 2; d >= 0; d--) {
      from += outStrides[d]!;
      if (++index[d]! < outShape[d]!) break;
      from -= outStrides[d]! * outShape[d]!;
      index[d] = 0;
    }
  }
  return out;
}
