// One captured function for each shape of its inputs (a bucket, a micro-batch with the adversary's weight or without), made
// when that shape is first met: a graph holds for one shape alone.
import {type Captured, CaptureRefused, type Engine} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';

export interface PerShape<Inputs> {
  /** The result is a copy and the caller's: what a graph gave is overwritten by the next one's run. */
  (inputs: Inputs): tf.Tensor;
  dispose(): void;
}

/** @throws UserError, when called, for what `step` does that cannot be captured. */
export function perShape<Inputs extends tf.TensorContainer>(
  capture: Engine['capture'],
  step: (inputs: Inputs) => tf.Tensor,
): PerShape<Inputs> {
  const captured = new Map<string, Captured<Inputs, tf.Tensor>>();
  const run = (inputs: Inputs): tf.Tensor => {
    const shape = shapeOf(inputs);
    const one = captured.get(shape) ?? capture(step);
    captured.set(shape, one);
    const given = explained(() => one(inputs));
    return tf.tidy(() => tf.mul(given, 1));
  };
  return Object.assign(run, {
    dispose: () => {
      for (const one of captured.values()) one.dispose();
      captured.clear();
    },
  });
}

/** Types and shapes of all tensors of a container under their names, as one text. */
function shapeOf(container: tf.TensorContainer): string {
  if (container instanceof tf.Tensor) return `${container.dtype}[${container.shape}]`;
  if (typeof container !== 'object' || container === null) return String(container);
  return `{${Object.entries(container).map(([name, value]) => `${name}:${shapeOf(value as tf.TensorContainer)}`)}}`;
}

function explained<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof CaptureRefused)) throw error;
    throw new UserError(
      `The training step cannot be captured on this engine: ${error.message} Set train.capture to off, which runs it one operation at a time.`,
      {cause: error},
    );
  }
}
