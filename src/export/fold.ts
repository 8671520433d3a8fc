// Constant folding: kernels whose inputs are all constants are computed by the cpu engine's own kernels, lazily.
import {openCpu} from '../engine/cpu.ts';
import * as tf from '../tf.ts';
import type {AttributeValue} from './attributes.ts';
import type {Constant, ConstantData} from './constants.ts';
import {permuteConstant, reshapeConstant, sizeOf, splatOf} from './constants.ts';

const remembered = 65536; // elements; a larger result is computed anew each time it is asked for

/** Registers the cpu engine's kernels, which folding needs, and leaves the engine that is set as it is. */
export async function loadFoldingKernels(): Promise<void> {
  if (tf.findBackendFactory('cpu')) return;
  const before: string | undefined = tf.engine().backendName;
  await openCpu();
  if (before !== undefined) await tf.setBackend(before);
}

export interface FoldedOutput {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  readonly index: number;
}

/** The constant a kernel gives for constants, or undefined where the cpu engine lacks the kernel or the type has no ONNX constant. */
export function evaluateOnCpu(
  kernel: string,
  inputs: Readonly<Record<string, Constant>>,
  attributes: Readonly<Record<string, AttributeValue>>,
  output: FoldedOutput,
): Constant | undefined {
  const {shape, dtype} = output;
  if (dtype === 'complex64' || dtype === 'string') return undefined;
  const config = tf.getKernel(kernel, 'cpu');
  if (!config || kernel === 'Multinomial') return undefined;
  const only = Object.values(inputs)[0];
  if (only && (kernel === 'Reshape' || kernel === 'Identity' || kernel === 'ExpandDims'))
    return reshapeConstant(only, shape);
  if (only && kernel === 'Transpose') return permuteConstant(only, attributes.perm as number[]);
  if (kernel === 'Fill' && typeof attributes.value === 'number') return splatOf(dtype, shape, attributes.value);
  let known: ConstantData | undefined;
  const names = [...new Set(Object.values(inputs).flatMap(c => c.name ?? []))];
  const load = (): ConstantData => {
    if (known) return known;
    const backend = tf.engine().findBackend('cpu') as CpuStorage;
    const held: tf.TensorInfo[] = [];
    const put = (c: Constant) => {
      const data = c.load();
      const info = {
        dataId: backend.write(data as tf.BackendValues, [...c.shape], c.dtype as tf.DataType),
        shape: [...c.shape],
        dtype: c.dtype as tf.DataType,
      };
      held.push(info);
      return info;
    };
    const keys = Object.keys(inputs);
    const isList = keys.length > 0 && keys.every((key, i) => key === String(i));
    const given: object = isList
      ? Object.values(inputs).map(put)
      : Object.fromEntries(Object.entries(inputs).map(([key, c]) => [key, put(c)]));
    const result = config.kernelFunc({
      inputs: given as tf.NamedTensorInfoMap,
      attrs: {...attributes} as tf.NamedAttrMap,
      backend,
    });
    const results = Array.isArray(result) ? result : [result];
    const values = backend.readSync(results[output.index]!.dataId) as ConstantData;
    const data =
      dtype === 'int32' && !(values instanceof Int32Array) ? Int32Array.from(values as Float32Array) : values;
    for (const info of [...held, ...results]) backend.disposeData(info.dataId, true);
    if (sizeOf(shape) <= remembered) known = data;
    return data;
  };
  return {shape, dtype, load, ...(names.length === 1 ? {name: `${names[0]}.${kernel}`} : {})};
}

type CpuStorage = tf.KernelBackend & {
  write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object;
  readSync(dataId: object): tf.BackendValues;
  disposeData(dataId: object, force?: boolean): boolean;
};
