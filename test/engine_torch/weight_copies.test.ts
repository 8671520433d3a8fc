// Products read weights in another type (bf16) or layout (convolutions) than they are kept in: each copy is made once a step,
// not at each use, and once for all where the weight is frozen. Copies in the weight's own layout are not made anew: AdamW
// writes them with the weight.
import {describe, expect, test} from 'vitest';
import {native} from '../../packages/tfjs-backend-torch/src/binding.ts';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {engineStats, TorchBackend} from '../../packages/tfjs-backend-torch/src/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import {adamWStep, conv2d, linear, overwrite} from '../../src/ops/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

const copiesOf = (what: () => void) => {
  const from = engineStats().weightCopies;
  what();
  return engineStats().weightCopies - from;
};
const weight = (shape: number[], value = 0.1) => tf.tidy(() => tf.variable(tf.fill(shape, value)));
const matrix = (value: number) => weight([4, 4], value) as tf.Variable<tf.Rank.R2>;
const OPTIONS = {learningRate: 1e-2, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0};
/** As products give it, so that no copy of it is made; x is of numbers that bf16 has. */
const inBf16 = (x: tf.Tensor2D) => tf.tidy(() => linear(x, tf.eye(x.shape[1]))) as tf.Tensor2D;
/** An AdamW step of one variable, whose moments begin anew. */
function update(variable: tf.Variable, gradient: number): void {
  tf.tidy(() => {
    const [m, v] = [tf.variable(tf.zeros(variable.shape)), tf.variable(tf.zeros(variable.shape))];
    adamWStep([{variable, gradient: tf.fill(variable.shape, gradient), m, v}], {...OPTIONS, step: 1});
    tf.dispose([m, v]);
  });
}
/** Where there is a GPU, nothing pretends to be one: graphs that these tests record would be real ones, in which nothing is read. */
const pretended = test.skipIf(isBuilt() && native().device() !== 'cpu');
/** On the GPU's kernels, run on the CPU; graphs are recorded and replayed in name alone. */
async function pretendingGpu(run: (addon: ReturnType<typeof native>) => void | Promise<void>): Promise<void> {
  await openEngine('torch', {precision: 'bf16'});
  const addon = native();
  addon.emulateKernels(true);
  try {
    await run(addon);
  } finally {
    addon.emulateKernels(false);
    await openEngine('torch');
  }
}
function torchBackend(): TorchBackend {
  const backend = tf.backend();
  if (!(backend instanceof TorchBackend)) throw new Error('These tests run on the torch backend.');
  return backend;
}
const handleOf = (x: tf.Tensor) => torchBackend().handle(x);
function recorded(addon: ReturnType<typeof native>, what: () => void): number {
  addon.graphBegin();
  what();
  return addon.graphEnd();
}

describe.skipIf(!isBuilt())('copies of weights', () => {
  for (const precision of ['fp32', 'bf16'] as const) {
    test(`${precision}: a trained weight's once a step, a frozen one's never again`, async () => {
      const engine = await openEngine('torch', {precision});
      const [frozen, trained] = [
        weight([3, 3, 4, 4]) as tf.Variable<tf.Rank.R4>,
        weight([3, 3, 4, 4]) as tf.Variable<tf.Rank.R4>,
      ];
      const [frozenLinear, trainedLinear] = [weight([4, 4]), weight([4, 4])];
      const variables = [trained, trainedLinear];
      const moments = variables.map(({shape}) => ({m: tf.variable(tf.zeros(shape)), v: tf.variable(tf.zeros(shape))}));
      const x = tf.ones([2, 5, 5, 4]) as tf.Tensor4D;
      const step = (number: number) =>
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
          adamWStep(slots, {...OPTIONS, step: number});
        });
      step(1);
      // The filter's, whose layout is another.
      for (const number of [2, 3, 4]) expect(copiesOf(() => step(number))).toBe(1);

      // What is read after an update is the new weight.
      const y = () => tf.tidy(() => linear(tf.ones([1, 4]), trainedLinear as tf.Tensor2D).dataSync()[0]!);
      const old = y();
      step(5);
      expect(y()).not.toBe(old);
      tf.dispose([frozen, trained, frozenLinear, trainedLinear, x, ...moments.flatMap(({m, v}) => [m, v])]);
      await openEngine('torch');
    });
  }

  pretended('a graph that adds up gradients in place leaves alone what later lies where they were', async () => {
    await pretendingGpu(addon => {
      const [kernel, slope] = [matrix(0.1), inBf16(tf.ones([2, 4]))];
      const sums = 40;
      const graph = recorded(addon, () => {
        // All there at once, then all gone.
        const onto = Array.from({length: sums}, () => addon.linearInputGrad(handleOf(slope), handleOf(kernel)));
        for (const sum of onto) {
          expect(addon.linearInputGradOnto(sum, handleOf(slope), handleOf(kernel))).toBe(true);
          addon.release(sum);
        }
      });
      const weights = Array.from({length: sums}, () => matrix(0.3));
      const x = inBf16(tf.ones([1, 4]) as tf.Tensor2D);
      const use = () => tf.tidy(() => weights.forEach(w => void linear(x, w)));
      for (let i = 0; i < 2; i++) use();
      expect(copiesOf(use)).toBe(0);
      addon.graphReplay(graph);
      expect(copiesOf(use)).toBe(0);
      addon.graphRelease(graph);
      tf.dispose([kernel, slope, x, ...weights]);
    });
  });

  // What a GPU's graphs read, without the GPU: recorded and replayed in name alone.
  pretended('a graph reads what was copied before it, copies what it trains, and reads no older copy', async () => {
    await pretendingGpu(addon => {
      const [frozen, trained] = [matrix(0.1), matrix(0.2)];
      const x = inBf16(tf.ones([2, 4]));
      const forward = () => tf.tidy(() => linear(linear(x, frozen), trained).dataSync()[0]!);
      const run = () => tf.tidy(() => void linear(linear(x, frozen), trained));
      const write = (value: number) => tf.tidy(() => overwrite(trained, tf.fill([4, 4], value)));
      for (const value of [0.3, 0.4]) {
        run();
        write(value);
      }
      let step = 0;
      // As a training step is recorded: what it trains was written last.
      expect(copiesOf(() => (step = recorded(addon, () => [run(), write(0.5)])))).toBe(1);
      expect(copiesOf(run)).toBe(1);

      let other = 0;
      expect(copiesOf(() => (other = recorded(addon, run)))).toBe(0);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(0);
      // Written outside graphs, then by another graph.
      const old = forward();
      write(1);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(1);
      expect(copiesOf(run)).toBe(0);
      expect(forward() / old).toBeCloseTo(2, 1);
      expect(copiesOf(() => addon.graphReplay(step))).toBe(0);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(1);
      addon.graphRelease(step);
      addon.graphRelease(other);
      tf.dispose([frozen, trained, x]);
    });
  });

  pretended('graphs read the copies that AdamW writes, and copy no weight that AdamW alone wrote', async () => {
    await pretendingGpu(addon => {
      const trained = matrix(0.2);
      const x = inBf16(tf.eye(4));
      const read = () => tf.tidy(() => linear(x, trained).dataSync()[0]!);
      const run = () => tf.tidy(() => void linear(x, trained));
      const expectFresh = () => {
        const copied = tf.tidy(() => tf.variable(tf.mul(trained, 1))) as tf.Variable<tf.Rank.R2>;
        expect(read()).toBe(tf.tidy(() => linear(x, copied).dataSync()[0]!));
        copied.dispose();
      };
      // Warm-up: copied at the second use, kept from then on.
      expect(copiesOf(() => [run(), run(), update(trained, 1), run(), update(trained, 1)])).toBe(2);
      let [step, other] = [0, 0];
      expect(copiesOf(() => (step = recorded(addon, () => [run(), update(trained, 1), run()])))).toBe(0);
      expect(copiesOf(() => (other = recorded(addon, run)))).toBe(0);
      expect(copiesOf(() => [step, other, step].map(graph => addon.graphReplay(graph)))).toBe(0);
      expect(copiesOf(expectFresh)).toBe(1); // the comparison's
      expect(copiesOf(() => [update(trained, 1), addon.graphReplay(other), addon.graphReplay(step)])).toBe(0);
      expectFresh();

      // Written by other means, then by AdamW without having been read, and where AdamW writes nothing.
      for (const gradient of [1, Number.NaN]) {
        const value = 0.3 + read();
        tf.tidy(() => overwrite(trained, tf.fill([4, 4], value)));
        update(trained, gradient);
        expect(copiesOf(() => addon.graphReplay(step))).toBe(1);
        expectFresh();
        update(trained, Number.NaN);
        expect(copiesOf(() => addon.graphReplay(step))).toBe(0);
        expectFresh();
      }
      // A recording begins with what is written by other means copied anew, and ends with the last that it writes.
      tf.tidy(() => overwrite(trained, tf.fill([4, 4], 2)));
      let third = 0;
      const writeLast = () => [run(), update(trained, 1), tf.tidy(() => overwrite(trained, tf.fill([4, 4], 3)))];
      expect(copiesOf(() => (third = recorded(addon, writeLast)))).toBe(1);
      expectFresh();
      addon.graphReplay(third);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(1);
      // In one graph: written by other means first, so that AdamW, which may write nothing, leaves the copy to the graph.
      let fourth = 0;
      const writeFirst = () => [tf.tidy(() => overwrite(trained, tf.fill([4, 4], 4))), update(trained, Number.NaN)];
      fourth = recorded(addon, writeFirst);
      expectFresh();
      addon.graphReplay(fourth);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(0);
      for (const graph of [step, other, third, fourth]) addon.graphRelease(graph);
      tf.dispose([trained, x]);
    });
  });

  pretended("a graph that updates weights renews other graphs' copies of them", async () => {
    await pretendingGpu(addon => {
      const filter = weight([3, 3, 4, 4], 0.2) as tf.Variable<tf.Rank.R4>;
      const x = tf.tidy(() => tf.reshape(inBf16(tf.ones([50, 4])), [2, 5, 5, 4])) as tf.Tensor4D;
      const filtered = (by: tf.Tensor4D) => conv2d(x, by, undefined, {pad: 1});
      const run = () => tf.tidy(() => void filtered(filter));
      const expectFresh = () =>
        tf.tidy(() => {
          const copied = tf.tidy(() => tf.variable(tf.mul(filter, 1))) as tf.Variable<tf.Rank.R4>;
          expect(filtered(filter).dataSync()).toEqual(filtered(copied).dataSync());
          copied.dispose();
        });
      const graphs: number[] = [];
      const record = (what: () => void) => graphs.push(recorded(addon, what));
      const replay = (...which: number[]) => {
        for (const i of which) addon.graphReplay(graphs[i]!);
      };
      expect(copiesOf(() => [run(), run(), update(filter, 1), run()])).toBe(3);
      // As where another shape's micro-batch of the same step has run already: read where it lies.
      expect(copiesOf(() => record(run))).toBe(0);
      expect(copiesOf(() => record(() => update(filter, 1)))).toBe(1);
      expectFresh();
      expect(copiesOf(() => replay(0, 1, 0, 0, 1))).toBe(0);
      expect(copiesOf(run)).toBe(0);
      // An update outside graphs leaves it to the graph that reads it.
      update(filter, 1);
      expect(copiesOf(() => replay(1))).toBe(0);
      update(filter, 1);
      expect(copiesOf(() => replay(0))).toBe(1);
      expectFresh();
      for (const graph of graphs.splice(0)) addon.graphRelease(graph);
      tf.dispose([filter, x]);
    });
  });

  pretended('a graph recorded after the update of its weights makes the copies that the update does not', async () => {
    await pretendingGpu(addon => {
      const trained = weight([3, 3, 4, 4], 0.2) as tf.Variable<tf.Rank.R4>;
      const x = tf.tidy(() => tf.reshape(inBf16(tf.ones([50, 4])), [2, 5, 5, 4])) as tf.Tensor4D;
      const run = () => tf.tidy(() => void conv2d(x, trained, undefined, {pad: 1}));
      run();
      run();
      update(trained, 1);
      const step = recorded(addon, () => update(trained, 1));
      addon.graphReplay(step);
      run();
      let late = 0;
      expect(copiesOf(() => (late = recorded(addon, run)))).toBe(1);
      expect(copiesOf(() => [late, step, late].map(graph => addon.graphReplay(graph)))).toBe(0);
      for (const graph of [step, late]) addon.graphRelease(graph);
      tf.dispose([trained, x]);
    });
  });

  pretended('a graph rounds an input once for all that reads it, and anew where it writes the input', async () => {
    await pretendingGpu(addon => {
      const [a, b] = [matrix(0.2), matrix(0.3)];
      const x = matrix(1 / 3);
      const sums: number[] = [];
      const sum = (y: tf.Tensor) => sums.push(tf.sum(y).dataSync()[0]!);
      const run = () => tf.tidy(() => [linear(x, a), linear(x, b), linear(tf.reshape(x, [2, 2, 4]), a)].map(sum));
      const write = () => tf.tidy(() => overwrite(x, tf.fill([4, 4], 2 / 3)));
      run();
      run();
      let step = 0;
      expect(copiesOf(() => (step = recorded(addon, () => [run(), write(), run()])))).toBe(2);
      const [first, , third] = sums;
      expect(third).toBe(first);
      expect(sums.slice(6, 9)).toEqual(sums.slice(0, 3));
      expect(sums[9]! / first!).toBeCloseTo(2, 2);
      addon.graphRelease(step);
      tf.dispose([a, b, x]);
    });
  });

  pretended("what a graph gives and is given leaves no copy that outlives the graph's next replay", async () => {
    await pretendingGpu(addon => {
      const x = inBf16(tf.eye(4));
      const [input, constant] = [matrix(0.2), matrix(0.3)];
      const made: tf.Tensor2D[] = [];
      const step = recorded(addon, () => {
        // The second is of the input's own storage, the third under another shape than its kernel gave it.
        const given = () => [tf.mul(input, 2), input.clone(), tf.reshape(tf.add(tf.reshape(input, [16]), 1), [4, 4])];
        made.push(...(tf.tidy(() => given().map(y => tf.keep(y))) as tf.Tensor2D[]));
        tf.tidy(() => void tf.matMul(x, tf.reshape(constant, [4, 4])));
      });
      const read = () => tf.tidy(() => void [...made, constant].map(y => tf.matMul(x, y)));
      const replay = () => {
        // As captured steps write their inputs; a variable would be moved away from what shares its storage.
        tf.tidy(() => torchBackend().overwrite(input, tf.fill([4, 4], 0.4)));
        addon.graphReplay(step);
      };
      replay();
      // The constant's first use was in the graph.
      expect(copiesOf(() => [read(), read(), read()])).toBe(2 * 3 + 1);
      for (let i = 0; i < 2; i++) {
        replay();
        expect(copiesOf(read)).toBe(3);
        expect(copiesOf(read)).toBe(0);
      }
      // Another graph makes its own of what this one writes, and reads that of the input where it lies.
      let other = 0;
      expect(copiesOf(() => (other = recorded(addon, read)))).toBe(2);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(0);
      // Before it is replayed itself, not before the graph that gives what it reads.
      expect(copiesOf(replay)).toBe(0);
      expect(copiesOf(() => addon.graphReplay(other))).toBe(1);
      expect(copiesOf(read)).toBe(2);
      for (const graph of [step, other]) addon.graphRelease(graph);
      tf.dispose([x, input, constant, made]);
    });
  });

  test('training in bf16 ends in the bytes of training whose copies are made anew, in any shape of the weight', async () => {
    await openEngine('torch', {precision: 'bf16'});
    const trained = (anew: boolean) => {
      const [a, b] = [matrix(0.3), weight([4], 0.5)];
      const slots = [a, b].map(variable => {
        const [m, v] = [tf.variable(tf.zeros(variable.shape)), tf.variable(tf.zeros(variable.shape))];
        return {variable, m, v};
      });
      const x = tf.tensor2d(normals({seed: 5, stream: 3, step: 0}, 32), [8, 4]);
      const loss = () => {
        // In its own layout under two shapes, and in that of filters.
        const filtered = conv2d(tf.reshape(linear(x, a), [2, 2, 2, 4]), tf.reshape(a, [1, 1, 4, 4]));
        const y = linear(tf.reshape(filtered, [8, 4]), a, b as tf.Tensor1D);
        const z = tf.matMul(tf.reshape(y, [1, 8, 4]), tf.reshape(a, [1, 4, 4]));
        return tf.mean(tf.square(tf.add(z, 0.7))) as tf.Scalar;
      };
      let copies = 0;
      for (let step = 1; step <= 6; step++) {
        copies = copiesOf(() =>
          tf.tidy(() => {
            const {grads} = tf.variableGrads(loss, [a, b]);
            const [da, db] = [a, b].map(({name}) => grads[name]!);
            // Step 4 has no finite gradient.
            const gradients = [step === 4 ? tf.div(da!, 0) : da!, db!];
            adamWStep(
              slots.map((slot, i) => ({...slot, gradient: gradients[i]!})),
              {...OPTIONS, step},
            );
            if (anew) for (const variable of [a, b]) overwrite(variable, tf.mul(variable, 1));
          }),
        );
      }
      const values = slots.flatMap(({variable, m, v}) => [variable, m, v].map(tensor => [...tensor.dataSync()]));
      tf.dispose([x, ...slots.flatMap(({variable, m, v}) => [variable, m, v])]);
      return {copies, values};
    };
    const addon = native();
    for (const emulated of [false, true]) {
      addon.emulateKernels(emulated);
      const [kept, anew] = [trained(false), trained(true)];
      addon.emulateKernels(false);
      expect(kept.values).toEqual(anew.values);
      // Beside them: the filter, and the gradient that the batched product reads.
      expect([kept.copies, anew.copies]).toEqual([2, 4]);
    }
    await openEngine('torch');
  });
});
