// Products read weights in another type (bf16) or layout (convolutions) than they are kept in: each copy is made once a step,
// not at each use, and once for all where the weight is frozen.
import {describe, expect, test} from 'vitest';
import {native} from '../../packages/tfjs-backend-torch/src/binding.ts';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {engineStats} from '../../packages/tfjs-backend-torch/src/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import {adamWStep, conv2d, linear, overwrite} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';

describe.skipIf(!isBuilt())('copies of weights', () => {
  for (const precision of ['fp32', 'bf16'] as const) {
    test(`${precision}: a trained weight's once a step, a frozen one's never again`, async () => {
      const engine = await openEngine('torch', {precision});
      const weight = (shape: number[]) => tf.tidy(() => tf.variable(tf.fill(shape, 0.1)));
      const [frozen, trained] = [
        weight([3, 3, 4, 4]) as tf.Variable<tf.Rank.R4>,
        weight([3, 3, 4, 4]) as tf.Variable<tf.Rank.R4>,
      ];
      const [frozenLinear, trainedLinear] = [weight([4, 4]), weight([4, 4])];
      const variables = [trained, trainedLinear];
      const moments = variables.map(({shape}) => ({m: tf.variable(tf.zeros(shape)), v: tf.variable(tf.zeros(shape))}));
      const x = tf.ones([2, 5, 5, 4]) as tf.Tensor4D;
      const before = () => engineStats().weightCopies;
      const step = (number: number) => {
        const from = before();
        tf.tidy(() => {
          const {grads} = engine.valueAndGrads(() => {
            // Twice each, and again in the gradient of what comes before them.
            let h = x;
            for (let i = 0; i < 2; i++) {
              h = conv2d(conv2d(h, trained, undefined, {pad: 1}), frozen, undefined, {pad: 1});
              h = linear(linear(h, trainedLinear as tf.Tensor2D), frozenLinear as tf.Tensor2D) as tf.Tensor4D;
            }
            return tf.mean(tf.square(h));
          }, variables);
          const slots = variables.map((variable, i) => ({variable, gradient: grads[i]!, ...moments[i]!}));
          adamWStep(slots, {learningRate: 1e-3, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, step: number});
        });
        return before() - from;
      };
      step(1);
      const trainedCopies = precision === 'bf16' ? 2 : 1;
      expect([step(2), step(3), step(4)]).toEqual([trainedCopies, trainedCopies, trainedCopies]);

      // What is read after an update is the new weight.
      const y = () => tf.tidy(() => linear(tf.ones([1, 4]), trainedLinear as tf.Tensor2D).dataSync()[0]!);
      const old = y();
      step(5);
      expect(y()).not.toBe(old);
      tf.dispose([frozen, trained, frozenLinear, trainedLinear, x, ...moments.flatMap(({m, v}) => [m, v])]);
      await openEngine('torch');
    });
  }

  // What a GPU's graphs read, without the GPU: recorded and replayed in name alone.
  test('a graph reads what was copied before it, copies for itself what it trains, and reads no copy of an older weight', async () => {
    await openEngine('torch', {precision: 'bf16'});
    const addon = native();
    addon.emulateKernels(true);
    try {
      const weight = (value: number) => tf.tidy(() => tf.variable(tf.fill([4, 4], value))) as tf.Variable<tf.Rank.R2>;
      const [frozen, trained] = [weight(0.1), weight(0.2)];
      const x = tf.ones([2, 4]) as tf.Tensor2D;
      const forward = () => tf.tidy(() => linear(linear(x, frozen), trained).dataSync()[0]!);
      const run = () => tf.tidy(() => void linear(linear(x, frozen), trained));
      const write = (value: number) => tf.tidy(() => overwrite(trained, tf.fill([4, 4], value)));
      const copiesOf = (what: () => void) => {
        const from = engineStats().weightCopies;
        what();
        return engineStats().weightCopies - from;
      };
      const record = (what: () => void) => {
        addon.graphBegin();
        what();
        return addon.graphEnd();
      };
      for (const value of [0.3, 0.4]) {
        run();
        write(value);
      }
      let step = 0;
      // As a training step is recorded: what it trains was written last.
      expect(copiesOf(() => (step = record(() => [run(), write(0.5)])))).toBe(1);
      expect(copiesOf(() => addon.graphReplay(step))).toBe(0);
      expect(copiesOf(run)).toBe(1);

      let other = 0;
      expect(copiesOf(() => (other = record(run)))).toBe(0);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(0);
      // Written outside graphs, then by another graph.
      const old = forward();
      write(1);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(1);
      expect(copiesOf(run)).toBe(0);
      expect(forward() / old).toBeCloseTo(2, 1);
      addon.graphReplay(step);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(1);
      addon.graphRelease(step);
      addon.graphRelease(other);
      tf.dispose([frozen, trained, x]);
    } finally {
      addon.emulateKernels(false);
      await openEngine('torch');
    }
  });
});
