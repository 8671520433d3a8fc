// x * Phi(x) with the exact normal distribution by erf (Hendrycks and Gimpel 2016).
import type * as tf from '../tf.ts';
import {activation} from './activation.ts';

/** Any shape. */
export function gelu<X extends tf.Tensor>(x: X): X {
  return activation([x], {kind: 'gelu'}) as X;
}
