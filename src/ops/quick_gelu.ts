// x * sigmoid(1.702 x): CLIP's approximation of gelu.
import type * as tf from '../tf.ts';
import {activation} from './activation.ts';

/** Any shape. */
export function quickGelu<X extends tf.Tensor>(x: X): X {
  return activation([x], {kind: 'quickGelu'}) as X;
}
