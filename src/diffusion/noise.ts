// Noise tensors from the counter-based generator: the same bytes on every engine.
import {normals, type RandomAt} from '../random/index.ts';
import * as tf from '../tf.ts';

/** Standard normals of a shape, elements in row-major order from the place `at`. */
export function noiseTensor(at: RandomAt, shape: number[]): tf.Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return tf.tensor(normals(at, count), shape, 'float32');
}

/**
 * Initial noise [N, ...shape] of samples `first` .. first+N-1 of a seed. Sample i has its own place in the stream, so it
 * is the same video whatever the batch it is sampled in.
 */
export function samplingNoise(seed: number, first: number, n: number, shape: number[]): tf.Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = new Float32Array(n * count);
  for (let i = 0; i < n; i++) values.set(normals({seed, stream: 'sampling', step: first + i}, count), i * count);
  return tf.tensor(values, [n, ...shape], 'float32');
}
