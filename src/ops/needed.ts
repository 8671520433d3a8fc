// What Engine.valueAndGrads knows about the tape and operations may ask: which tensors depend on a trainable variable while
// the loss is computed, and, while it is differentiated, which inputs' gradients will be asked for and what the first input's
// is so far. tf.variableGrads says none of it, and then everything counts and nothing is so far.
import type * as tf from '../tf.ts';

let neededNames: ReadonlySet<string> | undefined;
let trackedIds: ReadonlySet<number> | undefined;
let soFar: GradientSoFar | undefined;

/** A tensor's gradient by the operations that came after the one being differentiated. */
export interface GradientSoFar {
  readonly sum: tf.Tensor;
  /** Whether the operation added its own to it. */
  taken: boolean;
}

/**
 * Runs `f` with the inputs (by name; fused operations name them by position) whose gradients will be asked for, and what the first
 * input's gradient is so far.
 */
export function withNeeded<R>(names: ReadonlySet<string>, f: () => R, first?: GradientSoFar): R {
  const before = {neededNames, soFar};
  neededNames = names;
  soFar = first;
  try {
    return f();
  } finally {
    ({neededNames, soFar} = before);
  }
}

/**
 * What the first input's gradient is so far, for an operation that adds its own to it in the same pass: whoever takes it returns
 * the sum. undefined: nothing, or nothing that may be taken.
 */
export function takeGradientSoFar(): tf.Tensor | undefined {
  if (!soFar) return undefined;
  soFar.taken = true;
  return soFar.sum;
}

/** Whether any of these inputs' gradients will be asked for in the node being differentiated. */
export function needs(...positions: number[]): boolean {
  return neededNames === undefined || positions.some(position => neededNames?.has(String(position)));
}

/** Runs `f` with the ids, growing meanwhile, of the tensors that depend on a trainable variable. */
export function withTracked<R>(ids: ReadonlySet<number>, f: () => R): R {
  const before = trackedIds;
  trackedIds = ids;
  try {
    return f();
  } finally {
    trackedIds = before;
  }
}

/** Whether a gradient may be asked for this tensor. */
export function isTracked(tensor: tf.Tensor): boolean {
  return trackedIds === undefined || trackedIds.has(tensor.id);
}
