// Gradient accumulation, one operation at a time: the mean over a step's micro-batches, which is the loss and the gradient of
// the large batch. step/phase.ts does the same in captured functions; this gives the gradients themselves, to be looked into.
import type {Engine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';

/** Mean loss and mean gradients of `variables`, over the micro-batches; the caller disposes of the gradients. */
export async function meanGradients<Inputs>(
  engine: Pick<Engine, 'valueAndGrads'>,
  variables: tf.Variable[],
  microBatches: readonly Inputs[],
  loss: (inputs: Inputs) => tf.Scalar,
): Promise<{loss: number; gradients: tf.Tensor[]}> {
  let gradients: tf.Tensor[] = [];
  let mean = 0;
  for (const inputs of microBatches) {
    const {value, grads} = engine.valueAndGrads(() => loss(inputs), variables);
    gradients = addMean(gradients, grads, microBatches.length);
    mean += (await value.data())[0]! / microBatches.length;
    value.dispose();
  }
  return {loss: mean, gradients};
}

/** total + gradient / count; takes over both. */
function addMean(totals: readonly tf.Tensor[], gradients: tf.Tensor[], count: number): tf.Tensor[] {
  if (count === 1) return gradients;
  return gradients.map((gradient, i) => {
    const total = totals[i];
    const sum = tf.tidy(() => {
      const share = tf.mul(gradient, 1 / count);
      return total ? tf.add(total, share) : share;
    });
    tf.dispose([gradient, ...(total ? [total] : [])]);
    return sum;
  });
}
