// What Engine.valueAndGrads knows about the tape and operations may ask: which tensors depend on a trainable variable while
// the loss is computed, and which inputs' gradients will be asked for while it is differentiated. tf.variableGrads says
// neither, and then everything counts.
import type * as tf from '../tf.ts';

let neededNames: ReadonlySet<string> | undefined;
let trackedIds: ReadonlySet<number> | undefined;

/** Runs `f` with the inputs (by name; fused operations name them by position) whose gradients will be asked for. */
export function withNeeded<R>(names: ReadonlySet<string>, f: () => R): R {
  const before = neededNames;
  neededNames = names;
  try {
    return f();
  } finally {
    neededNames = before;
  }
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
