// Which inputs of the tape node being differentiated lead to a trainable variable. Engine.valueAndGrads says so before it
// calls a node's gradient, so that a fused gradient can leave out the frozen weights' part; tf.variableGrads does not, and
// then everything counts as needed.

let current: ReadonlySet<string> | undefined;

/** Runs `f` with the inputs (by name; fused operations name them by position) whose gradients will be asked for. */
export function withNeeded<R>(inputs: ReadonlySet<string>, f: () => R): R {
  const before = current;
  current = inputs;
  try {
    return f();
  } finally {
    current = before;
  }
}

export function gradientNeeded(position: number): boolean {
  return current === undefined || current.has(String(position));
}
