// New values for a variable. Kernel Overwrite writes them into the storage it has, which a captured step needs; elsewhere the
// variable takes over the value's.
import type * as tf from '../tf.ts';
import {hasKernel, runFused} from './fused.ts';

/** `value` is of the variable's shape and stays the caller's. */
export function overwrite(variable: tf.Variable, value: tf.Tensor): void {
  if (hasKernel('Overwrite')) runFused('Overwrite', [variable, value], {});
  else variable.assign(value);
}
