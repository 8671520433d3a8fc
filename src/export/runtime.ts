// onnxruntime-node, loaded only when something is to be run with it.
import type {InferenceSession, Tensor} from 'onnxruntime-common';
import {UserError} from '../platform/user_error.ts';

export type {InferenceSession};

export interface HostArray {
  readonly dtype: 'float32' | 'int32' | 'bool';
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

interface Runtime {
  readonly InferenceSession: {
    create(model: string | Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: string, data: HostArray['data'], dims: readonly number[]) => Tensor;
}

/** The runtime's module. Throws UserError where it is not installed. */
export async function onnxRuntime(): Promise<Runtime> {
  try {
    const module = (await import('onnxruntime-node')) as {default?: Runtime} & Partial<Runtime>;
    const runtime = module.default ?? module;
    if (!runtime.InferenceSession || !runtime.Tensor) throw new Error('it exports no InferenceSession');
    return {InferenceSession: runtime.InferenceSession, Tensor: runtime.Tensor};
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new UserError(
      `onnxruntime-node could not be loaded (${why}); install it with "npm i onnxruntime-node@1.30.0 --ignore-scripts" or skip the verification.`,
    );
  }
}

export interface SessionOptions {
  readonly threads?: number;
  /** 2, the default, logs warnings to stderr; 3 errors only. */
  readonly logLevel?: 2 | 3;
}

export async function openSession(model: string | Uint8Array, options: SessionOptions = {}): Promise<InferenceSession> {
  const {InferenceSession} = await onnxRuntime();
  return InferenceSession.create(model, {
    logSeverityLevel: options.logLevel ?? 2,
    graphOptimizationLevel: 'all',
    ...(options.threads === undefined ? {} : {intraOpNumThreads: options.threads, interOpNumThreads: 1}),
  });
}

/** Runs a session on arrays by name. */
export async function runSession(
  session: InferenceSession,
  inputs: Readonly<Record<string, HostArray>>,
): Promise<Record<string, HostArray>> {
  const {Tensor} = await onnxRuntime();
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, a]) => [name, new Tensor(a.dtype, a.data, a.shape)]),
  );
  const results = await session.run(feeds);
  const outputs: Record<string, HostArray> = {};
  for (const [name, tensor] of Object.entries(results)) {
    const {type, data, dims} = tensor as Tensor;
    if ((type !== 'float32' && type !== 'int32' && type !== 'bool') || !isData(data))
      throw new Error(`Output "${name}" has type ${type}.`);
    outputs[name] = {dtype: type, shape: dims, data};
  }
  return outputs;
}

function isData(data: unknown): data is HostArray['data'] {
  return data instanceof Float32Array || data instanceof Int32Array || data instanceof Uint8Array;
}
