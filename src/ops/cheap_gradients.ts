// Gradients that TensorFlow.js computes by uploading host arrays as large as the tensor: Sum and Mean build ones(x.shape) in
// JavaScript for every use. Registered anew here as a broadcast of dy. Imported for its effect by the index.
import * as tf from '../tf.ts';

/** dy of a reduction over `axis`, spread back over the shape it was reduced from. */
function spread(dy: tf.Tensor, shape: number[], axis: number | number[] | undefined): tf.Tensor {
  const axes = tf.util.parseAxisParam(axis ?? shape.map((_, i) => i), shape);
  const kept = shape.map((size, i) => (axes.includes(i) ? 1 : size));
  return tf.tile(
    tf.reshape(dy, kept),
    shape.map((size, i) => size / kept[i]!),
  );
}

tf.registerGradient({
  kernelName: tf.Sum,
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => ({
    x: () => spread(dy as tf.Tensor, saved[0]!.shape, attrs.axis as number | number[]),
  }),
});

tf.registerGradient({
  kernelName: tf.Mean,
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => ({
    x: () => {
      const x = saved[0]!;
      const scaled = tf.mul(dy as tf.Tensor, (dy as tf.Tensor).size / x.size);
      return spread(scaled, x.shape, attrs.axis as number | number[]);
    },
  }),
});
