// The capture interface: one unit of work (a training step) as a function that may not look outside the device. It is not
// recorded as a CUDA graph yet: the function runs each time, on the CPU as on CUDA. What a graph could not hold is refused
// already, so that a step proven on the CPU stays capturable.

interface Capturing {
  /** Whether uploads of more than one element are refused too. */
  strict: boolean;
}
let capturing: Capturing | undefined;

/** Refuses what a captured function may not do, by name. `upload` is refused only in strict captures. */
export function refuseUnderCapture(what: string, kind: 'read' | 'upload' | 'host kernel'): void {
  if (!capturing || (kind === 'upload' && !capturing.strict)) return;
  throw new Error(
    `${what} is not possible inside a captured function: a captured step makes no ${kind}. Do it before or after the step.`,
  );
}

/**
 * `fn` as a captured function. Inside it, reads of tensors and kernels that run on the host are errors; with `strict` so are
 * uploads of more than one element.
 */
export function capture<A extends unknown[]>(
  fn: (...args: A) => void,
  {strict = false}: {strict?: boolean} = {},
): (...args: A) => void {
  return (...args) => {
    if (capturing) throw new Error('A captured function cannot run inside another.');
    capturing = {strict};
    try {
      fn(...args);
    } finally {
      capturing = undefined;
    }
  };
}
