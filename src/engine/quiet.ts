// TensorFlow.js greets and advises on stderr; a trainer's log is its own.
import * as tf from '../tf.ts';

/** Turns off TensorFlow.js's console warnings (its banner in Node, "Platform node has already been set"). */
export function quietTensorflow(): void {
  tf.env().set('PROD', true);
}
