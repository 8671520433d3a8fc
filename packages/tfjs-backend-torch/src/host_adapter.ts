// The kernels that run the cpu backend's implementation: lists of strings, ragged and sparse rows, boxes and samples whose
// sizes depend on the data. Each call copies its tensors to the host, is counted in engineStats(), and is refused while a
// step is being captured. test/host_adapter.test.ts pins this list.

import {MathBackendCPU} from '@tensorflow/tfjs-backend-cpu';
import {getKernel, type KernelConfig, type TensorInfo} from '@tensorflow/tfjs-core';
import {refuseUnderCapture} from './capture.ts';
import {kernel} from './kernels/kernel.ts';
import type {TorchBackend} from './torch_backend.ts';

export const hostKernelNames = [
  'CropAndResize',
  'Draw',
  'Multinomial',
  'NonMaxSuppressionV3',
  'NonMaxSuppressionV4',
  'NonMaxSuppressionV5',
  'RaggedGather',
  'RaggedRange',
  'RaggedTensorToTensor',
  'RotateWithOffset',
  'SearchSorted',
  'SparseFillEmptyRows',
  'SparseReshape',
  'SparseSegmentMean',
  'SparseSegmentSum',
  'StaticRegexReplace',
  'StringNGrams',
  'StringSplit',
  'StringToHashBucketFast',
  'Transform',
  'Unique',
] as const;

type Inputs = Record<string, TensorInfo | TensorInfo[] | undefined>;

/** Runs one kernel of the cpu backend on copies of the inputs. */
function runOnHost(
  kernelName: string,
  inputs: Inputs,
  attrs: object,
  backend: TorchBackend,
): TensorInfo | TensorInfo[] {
  const config = getKernel(kernelName, 'cpu');
  if (!config) throw new Error('the cpu backend does not have this kernel');
  refuseUnderCapture(`The kernel ${kernelName}`, 'host kernel');
  backend.countAdapterCall(kernelName);
  const host = new MathBackendCPU();
  const copy = ({dataId, shape, dtype}: TensorInfo): TensorInfo => ({
    dataId: host.write(backend.readSync(dataId), shape, dtype),
    shape,
    dtype,
  });
  const copies = Object.entries(inputs)
    .filter((entry): entry is [string, TensorInfo | TensorInfo[]] => Boolean(entry[1]))
    .map(([name, input]) => [name, Array.isArray(input) ? input.map(copy) : copy(input)]);
  const result = config.kernelFunc({inputs: Object.fromEntries(copies), attrs: {...attrs}, backend: host});
  const upload = ({dataId, shape, dtype}: TensorInfo): TensorInfo => ({
    dataId: backend.write(host.readSync(dataId), shape, dtype),
    shape,
    dtype,
  });
  return Array.isArray(result) ? result.map(upload) : upload(result);
}

export const hostKernels: readonly KernelConfig[] = hostKernelNames.map(name =>
  kernel<Inputs, object>(name, ({inputs, attrs, backend}) => runOnHost(name, inputs, attrs, backend)),
);
