// Exports a function, runs the bytes in onnxruntime-node and the function on the cpu engine, and gives the worst relative error.
import '@tensorflow/tfjs-backend-cpu';
import {
  encodeOnnx,
  type OnnxModel,
  type OnnxOptions,
  relativeError,
  type TracedFunction,
  toOnnx,
} from '../../src/export/index.ts';
import {type HostArray, openSession, runSession} from '../../src/export/runtime.ts';
import {runOnEngine} from '../../src/export/verify.ts';
import {normals, uniforms} from '../../src/random/index.ts';

export type Given = Readonly<Record<string, HostArray>>;

let step = 0;

function next(shape: readonly number[]) {
  return {at: {seed: 3, stream: 77, step: step++}, count: shape.reduce((a, b) => a * b, 1)};
}

export function normal(...shape: number[]): HostArray {
  const {at, count} = next(shape);
  return {dtype: 'float32', shape, data: normals(at, count)};
}

export function uniform(from: number, to: number, ...shape: number[]): HostArray {
  const {at, count} = next(shape);
  return {dtype: 'float32', shape, data: uniforms(at, count).map(u => from + (to - from) * u)};
}

export function ints(from: number, below: number, ...shape: number[]): HostArray {
  const {data} = uniform(from, below, ...shape);
  return {dtype: 'int32', shape, data: Int32Array.from(data, Math.floor)};
}

export function bools(...shape: number[]): HostArray {
  return {dtype: 'bool', shape, data: Uint8Array.from(ints(0, 2, ...shape).data)};
}

export function floats(shape: number[], values: number[]): HostArray {
  return {dtype: 'float32', shape, data: Float32Array.from(values)};
}

export async function exported(fn: TracedFunction, given: Given, options: OnnxOptions = {}): Promise<OnnxModel> {
  return toOnnx(
    fn,
    Object.entries(given).map(([name, {shape, dtype}]) => ({name, shape, dtype})),
    options,
  );
}

export async function runBytes(model: OnnxModel, given: Given): Promise<Record<string, HostArray>> {
  const session = await openSession(encodeOnnx(model), {logLevel: 3, threads: 1});
  try {
    return await runSession(session, given);
  } finally {
    await session.release();
  }
}

export function compare(found: Record<string, HostArray>, expected: Record<string, HostArray>): number {
  let worst = 0;
  for (const [name, e] of Object.entries(expected)) {
    const f = found[name];
    const alike = f !== undefined && String(f.shape) === String(e.shape) && f.dtype === e.dtype;
    worst = Math.max(worst, alike ? relativeError(f.data, e.data) : Number.POSITIVE_INFINITY);
  }
  return worst;
}

/** The worst relative L2 error of the exported function over its outputs. */
export async function exportError(fn: TracedFunction, given: Given, options: OnnxOptions = {}): Promise<number> {
  const model = await exported(fn, given, options);
  return compare(await runBytes(model, given), runOnEngine(fn, given));
}
