// Replaces a kernel that tfjs-node registered by one that may still call it.
import * as tf from '../../../tf.ts';

export const backendName = 'tensorflow';

/** Kernels already replaced: opening the engine twice must not wrap twice. */
const replaced = new Set<string>();

/** Registers `make(original)` in place of the kernel `name`. */
export function replaceKernel(name: string, make: (original: tf.KernelFunc) => tf.KernelFunc): void {
  if (replaced.has(name)) return;
  const original = tf.getKernel(name, backendName);
  if (original == null) throw new Error(`tfjs-node has no kernel ${name} to replace.`);
  tf.unregisterKernel(name, backendName);
  tf.registerKernel({...original, kernelFunc: make(original.kernelFunc)});
  replaced.add(name);
}
