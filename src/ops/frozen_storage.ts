// Storage of weights that do not train: as products and convolutions read them, so that no copy is kept beside them. Kernel
// FrozenStorage.
import type * as tf from '../tf.ts';
import {hasKernel, runFused} from './fused.ts';

/**
 * Gives up the storage of a variable that only products and convolutions read, a matrix or a filter, for the one they want:
 * under bf16 it reads as its rounded values from now on. What is computed from it stays the same bit for bit.
 */
export function storeFrozen(variable: tf.Variable): void {
  if (!hasKernel('FrozenStorage')) return;
  const [stored] = runFused('FrozenStorage', [variable], {});
  variable.assign(stored!);
  stored!.dispose();
}
