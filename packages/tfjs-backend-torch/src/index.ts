// tfjs-backend-torch: importing it registers the TensorFlow.js backend 'torch', whose kernels are libtorch calls.
// Throws an Error where the addon is not built; `tfjs-backend-torch/built` tells beforehand.
import {registerBackend} from '@tensorflow/tfjs-core';
import {load} from './binding.ts';
import {type Precision, precisionCodes} from './dtypes.ts';
import {registerGradients} from './gradients/register_gradients.ts';
import {registerAllKernels} from './register_all_kernels.ts';
import {type EngineStats, readStats, TorchBackend} from './torch_backend.ts';

export {findBuild, isBuilt} from './built.ts';
export {capture} from './capture.ts';
export {type Captured, CaptureRefused} from './captured.ts';
export type {Precision} from './dtypes.ts';
export {type Group, type GroupPlace, openGroup} from './group.ts';
export {hostKernelNames} from './host_adapter.ts';
export {type EngineStats, TorchBackend} from './torch_backend.ts';

export interface TorchInfo {
  /** libtorch's version. */
  version: string;
  /** 'cpu' or 'cuda:0'. */
  device: string;
  /** Intra-op threads and the BLAS library's; 0 where it does not say. */
  threads: number;
  blasThreads: number;
  /** Whether this libtorch has CUDA. */
  cuda: boolean;
  precision: Precision;
}

let precision: Precision = 'fp32';

/** What is loaded: libtorch's version, the device, thread counts, the precision policy. */
export function torchInfo(): TorchInfo {
  const {addon, build} = load();
  const [threads, blasThreads] = addon.threadCounts();
  return {version: build.version, device: addon.device(), threads, blasThreads, cuda: addon.cudaBuilt(), precision};
}

/** The same, as the first step of using the backend. */
export async function loadTorch(): Promise<TorchInfo> {
  return torchInfo();
}

/** Allocator figures in bytes, and counts of host reads, host writes and host kernels since the process began. */
export function engineStats(): EngineStats {
  return readStats(load().addon);
}

/** Starts a new measurement of the peak of allocated bytes. */
export function resetPeakMemory(): void {
  load().addon.resetPeak();
}

/**
 * Gives memory that is kept for reuse back to the system: on a CPU until at most `most` bytes are allocated and kept together
 * (the largest blocks first), on CUDA all of it.
 */
export function emptyCache(most = 0): void {
  load().addon.emptyCache(most);
}

/** Sets libtorch's intra-op threads and, unless given apart, as many of the BLAS library's. Results depend on them. */
export function setThreads(intraOp: number, blas: number = intraOp): void {
  for (const count of [intraOp, blas]) {
    if (!Number.isInteger(count) || count < 1)
      throw new Error(`Thread counts must be positive integers, got ${count}.`);
  }
  load().addon.threads(intraOp, blas);
}

/**
 * The storage policy. fp32: everything in float32. tf32: CUDA products may round their inputs to 10 bits. bf16: products
 * and convolutions are computed and stored in bf16; TensorFlow.js goes on seeing float32.
 */
export function setPrecision(policy: Precision): void {
  load().addon.policy(precisionCodes[policy]);
  precision = policy;
}

/** What a program chooses before it computes. */
export function configure(options: {precision?: Precision; threads?: number; blasThreads?: number}): void {
  if (options.threads !== undefined) setThreads(options.threads, options.blasThreads);
  if (options.precision !== undefined) setPrecision(options.precision);
}

/** For logs and checkpoints: device, threads, precision and libtorch's version. */
export function describe(): {
  device: string;
  threads: number;
  blasThreads: number;
  precision: Precision;
  libtorch: string;
} {
  const {device, threads, blasThreads, version} = torchInfo();
  return {device, threads, blasThreads, precision, libtorch: version};
}

load();
registerAllKernels();
registerGradients();
registerBackend(
  'torch',
  () => {
    // Another import may have put TensorFlow.js's own gradients back in the meantime.
    registerGradients();
    return new TorchBackend();
  },
  4,
);
