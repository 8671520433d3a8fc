// x * sigmoid(x) (Elfwing et al. 2017), the activation of the UNet and the autoencoder.
import type * as tf from '../tf.ts';
import {activation} from './activation.ts';

/** Any shape. */
export function silu<X extends tf.Tensor>(x: X): X {
  return activation([x], {kind: 'silu'}) as X;
}
