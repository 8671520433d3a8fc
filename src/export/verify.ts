// Proves a written model equal to the function it came from: both run on the same random inputs, at several sizes.
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {UserError} from '../platform/user_error.ts';
import {compiledUrl} from '../platform/worker_url.ts';
import {integers, normals, uniforms} from '../random/index.ts';
import * as tf from '../tf.ts';
import type {DimSizes} from './dims.ts';
import type {TracedFunction, TraceInput} from './recorder.ts';
import {type HostArray, openSession, runSession} from './runtime.ts';
import {concrete, type OnnxInput} from './to_onnx.ts';

export interface VerifyOptions {
  /** Sizes of the dynamic dimensions for each run; by default the examples, one step more and two steps more. */
  readonly sizes?: readonly DimSizes[];
  readonly seed?: number;
  /** Largest relative L2 error that passes; default 1e-4. */
  readonly tolerance?: number;
  /** Where random values lie, [from, below), by input; by default float32 is normal and int32 is 0 or 1. */
  readonly ranges?: Readonly<Record<string, readonly [number, number]>>;
  readonly threads?: number;
}

export interface VerifyRun {
  readonly sizes: DimSizes;
  /** Relative L2 error by output. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface Verification {
  readonly runs: readonly VerifyRun[];
  readonly worst: number;
  readonly passed: boolean;
  /** What onnxruntime said while it loaded and optimised the graph. */
  readonly warnings: readonly string[];
}

const verifyStream = 9001; // the random stream of verification inputs, apart from those that training uses

/** The relative L2 error of `found` against `expected`; infinite where exactly one of two values is not a number. */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < found.length; i++) {
    const [a, b] = [found[i]!, expected[i]!];
    if (Object.is(a, b) || a === b) {
      if (Number.isFinite(b)) norm += b * b;
      continue;
    }
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
    difference += (a - b) ** 2;
    norm += b * b;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / (norm || 1));
}

/** Random values for an input: normals, or what its range says. */
export function randomInput(input: TraceInput, index: number, options: VerifyOptions): HostArray {
  const count = input.shape.reduce((a, b) => a * b, 1);
  const at = {seed: options.seed ?? 1, stream: verifyStream, step: index};
  const range = options.ranges?.[input.name];
  if (input.dtype === 'float32') {
    const data = range ? uniforms(at, count).map(u => range[0] + (range[1] - range[0]) * u) : normals(at, count);
    return {...input, dtype: 'float32', data};
  }
  const [from, below] = input.dtype === 'bool' ? [0, 2] : (range ?? [0, 2]);
  const values = integers(at, count, below - from).map(v => v + from);
  return {...input, data: input.dtype === 'bool' ? Uint8Array.from(values) : values};
}

/** Runs `fn` on the engine that is set, on host arrays. */
export function runOnEngine(
  fn: TracedFunction,
  inputs: Readonly<Record<string, HostArray>>,
): Record<string, HostArray> {
  return tf.tidy(() => {
    const given = Object.fromEntries(
      Object.entries(inputs).map(([name, a]) => [name, tf.tensor(a.data, [...a.shape], a.dtype)]),
    );
    const result = fn(given);
    const named = result instanceof tf.Tensor ? {output: result} : result;
    return Object.fromEntries(
      Object.entries(named).map(([name, t]) => [
        name,
        {dtype: t.dtype as HostArray['dtype'], shape: t.shape, data: t.dataSync() as HostArray['data']},
      ]),
    );
  });
}

/**
 * Compares the model file (or its bytes) in onnxruntime-node with `fn` on the engine that is set.
 * Throws UserError where onnxruntime-node is not installed; a difference is reported, not thrown.
 */
export async function verifyOnnx(
  model: string | Uint8Array,
  fn: TracedFunction,
  inputs: readonly OnnxInput[],
  options: VerifyOptions = {},
): Promise<Verification> {
  const warnings = typeof model === 'string' ? await sessionWarnings(model) : [];
  const session = await openSession(model, {
    logLevel: 3,
    ...(options.threads === undefined ? {} : {threads: options.threads}),
  });
  const runs: VerifyRun[] = [];
  try {
    for (const [k, sizes] of (options.sizes ?? threeSizes(inputs)).entries()) {
      const shaped = concrete(inputs, sizes);
      const given = Object.fromEntries(
        shaped.map((input, i) => [input.name, randomInput(input, k * shaped.length + i, options)]),
      );
      const expected = runOnEngine(fn, given);
      const found = await runSession(session, given);
      const errors = Object.fromEntries(
        Object.entries(expected).map(([name, e]) => [name, outputError(found[name], e)]),
      );
      runs.push({sizes, errors});
    }
  } finally {
    await session.release();
  }
  const worst = Math.max(...runs.flatMap(r => Object.values(r.errors)));
  return {runs, worst, passed: worst <= (options.tolerance ?? 1e-4), warnings};
}

function outputError(found: HostArray | undefined, expected: HostArray): number {
  if (!found || String(found.shape) !== String(expected.shape) || found.dtype !== expected.dtype)
    return Number.POSITIVE_INFINITY;
  return relativeError(found.data, expected.data);
}

/** Where nothing is dynamic the three runs differ in their random values only. */
function threeSizes(inputs: readonly OnnxInput[]): DimSizes[] {
  return [0, 1, 2].map(more =>
    Object.fromEntries(
      inputs.flatMap(i =>
        i.shape.flatMap(d => (typeof d === 'number' ? [] : [[d.dim, d.example + more * (d.step ?? 1)] as const])),
      ),
    ),
  );
}

/** The lines that onnxruntime writes to stderr while it opens the model, in a process of its own: it has no other way to tell. */
export async function sessionWarnings(path: string): Promise<string[]> {
  const probe = fileURLToPath(compiledUrl(import.meta.url, './session_probe.js'));
  const child = spawn(process.execPath, [probe, path], {stdio: ['ignore', 'ignore', 'pipe']});
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  if (code !== 0)
    throw new UserError(
      `onnxruntime-node cannot open ${path}: ${text.trim().split('\n').at(-1) ?? `exit code ${code}`}`,
    );
  return text.split('\n').filter(line => line.trim() !== '');
}
