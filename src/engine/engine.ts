// What the rest of the project sees of an engine: which TensorFlow.js backend computes, how it is described in logs and
// checkpoints, and how gradients are taken on it.
import {type Captured, CaptureRefused} from 'tfjs-backend-torch/captured';
import type * as tf from '../tf.ts';
import type {Group} from './group.ts';

export {type Captured, CaptureRefused};

/** Best first: the order in which `auto` tries them. */
export const engineNames = ['torch', 'node-gpu', 'wasm', 'cpu'] as const;
export type EngineName = (typeof engineNames)[number];

/** What float32 tensors are stored and multiplied in. Only torch has more than fp32. */
export type Precision = 'fp32' | 'tf32' | 'bf16';

/** What opening a backend tells about it. */
export interface OpenedBackend {
  /** Where it computes, for people: 'CPU, SIMD', 'cuda: NVIDIA H200'. */
  device: string;
  threads: number;
  /** Build, CPU type, threads: what results can depend on. */
  describe: Record<string, string | number>;
  precision?: Precision;
  /**
   * Gradients compute cheap outputs of so many elements or more again instead of holding them: a GPU's memory runs out before its
   * bandwidth does.
   */
  recomputeFrom?: number;
  /**
   * `step`, such as a whole training step, as one unit of work: torch on CUDA records it once as a graph and replays it with
   * one call, other devices run it. It is a function of its input tensors and writes in place what it trains (adamWStep with
   * a tensor of scalars, philoxNormal with a tensor of the step): whatever changes between calls is an input of the same
   * shape. On torch a read, an upload (after the first call), a kernel on the host or Variable.assign inside it is refused by a
   * CaptureRefused that says which. The outputs belong to the captured step and hold until this or another one is called.
   */
  capture?<I extends tf.TensorContainer, O extends tf.TensorContainer>(step: (inputs: I) => O): Captured<I, O>;
  /**
   * Where the engine holds more than `bytes` in all, what it keeps of freed tensors included, it gives of the latter back to the
   * system, on a CPU as much as is needed. Engines that keep nothing have nothing to give.
   */
  giveBack?(bytes: number): void;
  /** The processes that train with this one: a group of one where it was opened without a place in a larger one. */
  group?: Group;
}

export interface Engine extends Required<Omit<OpenedBackend, 'describe'>> {
  name: EngineName;
  /** Better engines that were not taken, with the reason. */
  passedOver: {engine: EngineName; why: string}[];
  memory(): {tensors: number; bytes: number};
  /**
   * The loss and its gradient for each variable, in their order: the numbers of tf.variableGrads with less work and memory.
   * A variable that the loss does not depend on has a gradient of zeros. The caller disposes of value and grads.
   */
  valueAndGrads(loss: () => tf.Scalar, variables: tf.Variable[]): {value: tf.Scalar; grads: tf.Tensor[]};
  /** Build, CPU type, threads: what is recorded in checkpoints, since equal bytes are promised for equal values only. */
  describe(): Record<string, string | number>;
}
