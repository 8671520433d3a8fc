// How an operation of this folder meets TensorFlow.js: one tape node per operation, computed by the backend's fused kernel
// where it is registered and by plain operations elsewhere, with the same gradient for both.
// The one file of src/ops that reaches behind TensorFlow.js's public types.
import * as tf from '../tf.ts';
import type {FusedKernelName, KernelContracts} from './kernel_contracts.ts';
import {gradientNeeded} from './needed.ts';

type Tensors = tf.Tensor[];

export interface GradientArgs<A> {
  dy: tf.Tensor;
  /** The saved inputs by position; those not saved are absent. */
  inputs: Tensors;
  /** The saved outputs, in order. */
  outputs: Tensors;
  attrs: A;
}

/** One thunk per input, by position; absent for inputs without a gradient. Only those needed are called. */
export type InputGradients = ((() => tf.Tensor) | undefined)[];

export interface FusedOp<A extends object> {
  name: string;
  /** Absent: always plain. */
  kernel?: FusedKernelName;
  /** Positions of the inputs that the gradient reads; 'all' where some are optional. */
  saveInputs: 'all' | readonly number[];
  /** Which outputs the gradient reads. */
  saveOutputs: readonly boolean[];
  plain(inputs: Tensors, attrs: A): Tensors;
  gradient(args: GradientArgs<A>): InputGradients;
}

/** The parts of TensorFlow.js's engine that its types keep private or type for named inputs only. */
interface EngineSeam {
  runKernel(name: string, inputs: Tensors, attrs: object): tf.Tensor | Tensors;
  runKernelFunc(call: {
    forwardFunc: (backend: unknown, save: (tensors: Tensors) => void) => tf.Tensor;
    backwardsFunc: (dy: tf.Tensor, saved: Tensors) => Record<string, () => tf.Tensor>;
    inputs: Tensors;
  }): tf.Tensor;
}

function engine(): EngineSeam {
  return tf.engine() as unknown as EngineSeam;
}

/** Whether the current backend has this fused kernel. */
export function hasKernel(name: FusedKernelName): boolean {
  return tf.getKernel(name, tf.getBackend()) != null;
}

/** Runs a fused kernel of the current backend; check `hasKernel` first. Not recorded unless a gradient is registered. */
export function runFused<K extends FusedKernelName>(
  name: K,
  inputs: Tensors,
  attrs: KernelContracts[K]['attrs'],
): Tensors {
  const outputs = engine().runKernel(name, inputs, attrs);
  return Array.isArray(outputs) ? outputs : [outputs];
}

/** Declares an operation and registers its kernel's gradient. The result runs it and returns its first output. */
export function fusedOp<A extends object>(op: FusedOp<A>): (inputs: Tensors, attrs: A) => tf.Tensor {
  const backward = (dy: tf.Tensor, saved: Tensors, attrs: A) => {
    const outputCount = op.saveOutputs.filter(Boolean).length;
    const savedInputs = saved.slice(0, saved.length - outputCount);
    const inputs: Tensors = [];
    for (const [i, tensor] of savedInputs.entries()) inputs[op.saveInputs === 'all' ? i : op.saveInputs[i]!] = tensor;
    const outputs = saved.slice(savedInputs.length);
    const thunks: Record<string, () => tf.Tensor> = {};
    for (const [i, thunk] of op.gradient({dy, inputs, outputs, attrs}).entries()) if (thunk) thunks[i] = thunk;
    return thunks;
  };
  if (op.kernel !== undefined) {
    tf.registerGradient({
      kernelName: op.kernel,
      ...(op.saveInputs === 'all' ? {saveAllInputs: true} : {inputsToSave: op.saveInputs.map(String)}),
      outputsToSave: [...op.saveOutputs],
      // A kernel with several outputs is given several dys; only the first output is ever used.
      gradFunc: (dy, saved, attrs) => backward(Array.isArray(dy) ? dy[0]! : dy, saved, attrs as A),
    });
  }
  return (inputs, attrs) => {
    if (op.kernel !== undefined && hasKernel(op.kernel)) {
      const [first, ...others] = runFused(op.kernel, inputs, attrs as KernelContracts[FusedKernelName]['attrs']);
      tf.dispose(others);
      return first!;
    }
    return engine().runKernelFunc({
      inputs,
      forwardFunc: (_, save) => {
        const outputs = op.plain(inputs, attrs);
        const kept = op.saveInputs === 'all' ? inputs : op.saveInputs.map(i => inputs[i]!);
        save([...kept, ...outputs.filter((_, i) => op.saveOutputs[i])]);
        return outputs[0]!;
      },
      backwardsFunc: (dy, saved) => backward(dy, saved, attrs),
    });
  };
}

/**
 * Thunks over one computation that yields several gradients at once. Each tensor is handed out once; it is computed again
 * only if it has been disposed of meanwhile (tf.variableGrads tidies after each input, Engine.valueAndGrads after each node).
 */
export function together(compute: () => (tf.Tensor | undefined)[], count: number): InputGradients {
  let results: (tf.Tensor | undefined)[] | undefined;
  return Array.from({length: count}, (_, i) => () => {
    if (results?.[i] === undefined || results[i]!.isDisposed) results = compute();
    const result = results[i];
    if (result === undefined) throw new Error(`Gradient ${i} was said not to be needed and is asked for.`);
    return result;
  });
}

/** Whether any of these inputs' gradients will be asked for in the node being differentiated. */
export function needs(...positions: number[]): boolean {
  return positions.some(gradientNeeded);
}
