// How an operation of this folder meets TensorFlow.js: one tape node per operation, computed by the backend's fused kernel
// where it is registered and by plain operations elsewhere, with the same gradient for both.
import * as tf from '../tf.ts';
import type {FusedKernelName, KernelContracts} from './kernel_contracts.ts';
import {isTracked} from './needed.ts';
import {engineInternals} from './tfjs_internals.ts';

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

interface Definition<A extends object> {
  name: string;
  plain(inputs: Tensors, attrs: A): Tensors;
  gradient(args: GradientArgs<A>): InputGradients;
}

export interface FusedOp<A extends object> extends Definition<A> {
  kernel: FusedKernelName;
  /** Positions of the inputs that the gradient reads; 'all' where some are optional. */
  saveInputs: 'all' | readonly number[];
  /** Which outputs the gradient reads. */
  saveOutputs: readonly boolean[];
  /**
   * The first output costs little to compute again from the inputs, all of which are saved: by the kernel itself (true), or where the
   * backend has it by this one, of the saved outputs and the inputs in this order.
   */
  cheap?: true | FusedKernelName;
}

const cheapKernels = new Map<string, true | FusedKernelName>();

/** Whether the kernel's operation is `cheap`. */
export function isCheap(kernel: string): kernel is FusedKernelName {
  return cheapKernels.has(kernel);
}

/** The first output of a cheap kernel, the same bytes as before, from what was saved of it. */
export function computedAgain<K extends FusedKernelName>(
  kernel: K,
  {inputs, outputs}: {inputs: Tensors; outputs: Tensors},
  attrs: KernelContracts[K]['attrs'],
): tf.Tensor {
  const by = cheapKernels.get(kernel);
  const [first, ...others] =
    by !== undefined && by !== true && hasKernel(by)
      ? runFused(by, [...outputs, ...inputs], attrs)
      : runFused(kernel, inputs, attrs);
  tf.dispose(others);
  return first!;
}

/** Whether the current backend has this fused kernel. */
export function hasKernel(name: FusedKernelName): boolean {
  return tf.getKernel(name, tf.getBackend()) != null;
}

/** Runs a fused kernel of the current backend; check `hasKernel` first. */
export function runFused<K extends FusedKernelName>(
  name: K,
  inputs: Tensors,
  attrs: KernelContracts[K]['attrs'],
): Tensors {
  const outputs = engineInternals().runKernel(name, inputs, attrs);
  return Array.isArray(outputs) ? outputs : [outputs];
}

/**
 * Declares an operation with a fused kernel and registers the kernel's gradient.
 * The result runs it and returns its first output; the others serve the gradient only.
 */
export function fusedOp<A extends object>(op: FusedOp<A>): (inputs: Tensors, attrs: A) => tf.Tensor {
  const outputCount = op.saveOutputs.filter(Boolean).length;
  if (op.cheap) cheapKernels.set(op.kernel, op.cheap);
  const backward = (dy: tf.Tensor, saved: Tensors, attrs: A) => {
    const savedInputs = saved.slice(0, saved.length - outputCount);
    const positions = op.saveInputs === 'all' ? savedInputs.map((_, i) => i) : op.saveInputs;
    const inputs = placed(savedInputs, positions);
    return thunksByName(op.gradient({dy, inputs, outputs: saved.slice(savedInputs.length), attrs}));
  };
  tf.registerGradient({
    kernelName: op.kernel,
    ...(op.saveInputs === 'all' ? {saveAllInputs: true} : {inputsToSave: op.saveInputs.map(String)}),
    outputsToSave: [...op.saveOutputs],
    // A kernel with several outputs is given several dys; only the first output is ever used.
    gradFunc: (dy, saved, attrs) => backward(Array.isArray(dy) ? dy[0]! : dy, saved, attrs as A),
  });
  return (inputs, attrs) => {
    if (hasKernel(op.kernel)) {
      const [first, ...others] = runFused(op.kernel, inputs, attrs as KernelContracts[FusedKernelName]['attrs']);
      tf.dispose(others);
      return first!;
    }
    return engineInternals().runKernelFunc({
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
 * Declares an operation x, kernel, (bias) that is linear in each of them and has a standard kernel: x is kept for the
 * gradient only where the kernel is trained, the kernel only where x leads to something trained.
 */
export function bilinearOp<A extends object>(op: Definition<A>): (inputs: Tensors, attrs: A) => tf.Tensor {
  return (inputs, attrs) => {
    const [x, kernel] = inputs as [tf.Tensor, tf.Tensor];
    const positions = [...(isTracked(kernel) ? [0] : []), ...(isTracked(x) ? [1] : [])];
    return engineInternals().runKernelFunc({
      inputs,
      forwardFunc: (_, save) => {
        const [y] = op.plain(inputs, attrs);
        save(positions.map(i => inputs[i]!));
        return y!;
      },
      backwardsFunc: (dy, saved) =>
        thunksByName(op.gradient({dy, inputs: placed(saved, positions), outputs: [], attrs})),
    });
  };
}

function placed(tensors: Tensors, positions: readonly number[]): Tensors {
  const inputs: Tensors = [];
  for (const [i, tensor] of tensors.entries()) inputs[positions[i]!] = tensor;
  return inputs;
}

function thunksByName(gradients: InputGradients): Record<string, () => tf.Tensor> {
  const thunks: Record<string, () => tf.Tensor> = {};
  for (const [i, thunk] of gradients.entries()) if (thunk) thunks[i] = thunk;
  return thunks;
}

/**
 * Thunks over one computation that yields several gradients at once. It is done again only if a result has been disposed of
 * meanwhile (tf.variableGrads tidies after each input, Engine.valueAndGrads after each node).
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
