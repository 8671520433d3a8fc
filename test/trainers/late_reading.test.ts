// Figures are read one step late. A value that is not finite is still traced to its own step, and neither that step nor the one
// already under way changed a byte; nothing is saved after it.
import {pino} from 'pino';
import {describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {type EngineName, openEngine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {type LoopPlace, runLoop} from '../../trainers/loop.ts';
import {disposeSlots, type MomentSlot, makeMomentSlots, makeSlots} from '../../trainers/optimizer/optimizer.ts';
import type {Recipe} from '../../trainers/recipe.ts';
import {randomBatch} from '../helpers/batches.ts';
import {microConfig} from '../helpers/micro_runs.ts';

type Inputs = {x: tf.Tensor; offset: tf.Tensor};
const optimizer = {
  learningRate: 0.1,
  betas: [0.9, 0.99] as [number, number],
  epsilon: 1e-8,
  weightDecay: 0.01,
  warmupSteps: 0,
  schedule: 'constant' as const,
  emaDecay: 0.9,
};

/** What is wrong with the micro-batch of this number, from 0. */
type Bad = {at: number; what: 'input' | 'loss' | 'adversary'};

async function runOn(
  name: EngineName,
  options: {steps: number; bad?: Bad; accumulate?: number; every?: number; adversary?: boolean},
) {
  const {steps, bad, accumulate = 1, every = 100, adversary = bad?.what === 'adversary'} = options;
  const engine = await openEngine(name);
  const before = tf.memory().numTensors;
  const weightOf = (path: string) => ({
    spec: {path, shape: [2, 3], init: {kind: 'zeros'}, layout: 'linear', part: 'spatial'} as const,
    variable: tf.tidy(() => tf.variable(tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]))),
  });
  const [weight, critic] = [weightOf('model'), weightOf('critic')];
  const errorOf = (variable: tf.Variable, {x}: Inputs) => tf.mean(tf.square(tf.sub(tf.mul(variable, x), 1)));
  let batches = 0;
  const recipe: Recipe<Inputs> = {
    trained: [weight],
    prepare() {
      const number = batches++;
      const isBad = (what: Bad['what']) => bad?.what === what && bad.at === number;
      const x = [1, 2, 3, 4, 5, isBad('input') ? Number.NaN : number];
      // The model's loss has its reciprocal, the adversary's its root, their gradients nothing of it.
      const offset = isBad('loss') ? 0 : isBad('adversary') ? -1 : 1;
      return {x: tf.tensor2d(x, [2, 3]), offset: tf.scalar(offset)};
    },
    loss: (inputs, weighed) => {
      const loss = tf.add(errorOf(weight.variable, inputs), tf.div(1, inputs.offset));
      return (weighed ? tf.add(loss, tf.mul(weighed, errorOf(critic.variable, inputs))) : loss) as tf.Scalar;
    },
    ...(adversary
      ? {
          adversary: {
            trained: [critic],
            optimizer: {...optimizer, emaDecay: undefined},
            startStep: 1,
            weight: {
              measure: inputs => tf.stack([tf.mean(inputs.x), tf.max(inputs.x)]),
              from: measured => tf.mean(tf.stack([...measured])) as tf.Scalar,
            },
            loss: inputs => tf.add(errorOf(critic.variable, inputs), tf.mul(tf.sqrt(inputs.offset), 1e-3)) as tf.Scalar,
          } satisfies Recipe<Inputs>['adversary'],
        }
      : {}),
    heldOut: async () => ({loss: 0}),
    dispose: () => tf.dispose([weight.variable, critic.variable]),
  };
  const slots = makeSlots(recipe.trained);
  const adversarySlots: MomentSlot[] = makeMomentSlots(adversary ? [critic] : []);
  const saved: LoopPlace[] = [];
  const lines: {step: number; loss: number; tensors: number}[] = [];
  const data = (async function* () {
    for (let i = 0; ; i++) yield {...randomBatch([1, 1, 1, 1]), keys: [`sample-${i}`], position: i};
  })();
  const error = await runLoop(
    {
      config: stageSchemas.autoencoder.parse({
        ...microConfig('autoencoder', {train: 'none.tar', heldOut: 'none.tar'}, {root: 'none'}),
        train: {steps, accumulate},
        optimizer,
        log: {every},
        heldOut: {every: 1000},
        checkpoint: {every},
      }),
      engine,
      recipe: recipe as Recipe,
      slots,
      adversarySlots,
      data,
      log: {
        logger: pino({level: 'silent'}),
        metrics: (kind, step, figures) =>
          void (kind === 'train' && lines.push({step, loss: figures.loss!, tensors: figures.tensors!})),
        images: async () => undefined,
        progress: () => undefined,
        close: async () => undefined,
      },
      stop: {requested: false, release: () => undefined},
      save: async place => void saved.push({...place}),
      preview: async () => undefined,
    },
    {step: 0, data: undefined, metrics: {}},
  ).then(
    () => undefined,
    (thrown: unknown) => thrown as Error,
  );
  const state = [...slots, ...adversarySlots].flatMap(({variable, m, v, ...rest}) =>
    [variable, m, v, ...('ema' in rest ? [rest.ema as tf.Variable] : [])].map(tensor => [...tensor.dataSync()]),
  );
  disposeSlots([...slots, ...adversarySlots]);
  recipe.dispose();
  return {error, state, saved, lines, batches, leaked: tf.memory().numTensors - before};
}

describe.each(['torch', 'wasm', 'cpu'] as const)('on %s', name => {
  const skipped = name === 'torch' && !isBuilt();

  test.skipIf(skipped).each([1, 2])(
    'a bad input, %i micro-batches a step: its own step and sample, found a step late',
    async accumulate => {
      const [found, good] = [
        await runOn(name, {steps: 8, accumulate, bad: {at: 5 * accumulate - 1, what: 'input'}}),
        await runOn(name, {steps: 4, accumulate}),
      ];
      const sample = `sample-${5 * accumulate - 1}`;
      const all = accumulate === 1 ? sample : `sample-8, ${sample}`;
      expect(found.error?.message).toContain(
        `Step 5 is not finite (loss NaN): the first bad value is in the input x of sample ${sample}, with samples ${all};`,
      );
      expect(found.batches).toBe(6 * accumulate);
      expect(found.state).toEqual(good.state);
      expect(found.saved).toEqual([]);
      expect(good.saved.map(({step}) => step)).toEqual([4]);
      expect([found.leaked, good.leaked]).toEqual([0, 0]);
    },
  );

  test.skipIf(skipped)('a loss that is not finite where all gradients are', async () => {
    const found = await runOn(name, {steps: 8, bad: {at: 4, what: 'loss'}});
    expect(found.error?.message).toContain('Step 5 is not finite (loss Infinity): the first bad value is in the loss,');
    expect(found.state).toEqual((await runOn(name, {steps: 4})).state);
  });

  test.skipIf(skipped)("the adversary's: the model's update of the step stands, all later ones do not", async () => {
    const found = await runOn(name, {steps: 8, bad: {at: 4, what: 'adversary'}});
    expect(found.error?.message).toMatch(/^Step 5 is not finite \(loss NaN\): the first bad value is in the loss,/);
    expect(found.batches).toBe(6);
    const [four, five] = [4, 5].map(steps => runOn(name, {steps, adversary: true}));
    // The model has four tensors of state, the critic three.
    const expected = [...(await five!).state.slice(0, 4), ...(await four!).state.slice(4)];
    expect(found.state).toEqual(expected);
    expect(found.leaked).toBe(0);
  });

  test.skipIf(skipped)('nothing is saved once it is bad, and what was stays', async () => {
    const {saved, error} = await runOn(name, {steps: 8, every: 2, bad: {at: 5, what: 'input'}});
    expect(error?.message).toContain('Step 6 is not finite');
    expect(saved.map(({step, data}) => [step, data])).toEqual([
      [2, 1],
      [4, 3],
    ]);
  });

  test.skipIf(skipped)('each line has the loss of its own step, however seldom they are read', async () => {
    const every = async (n: number) => (await runOn(name, {steps: 6, accumulate: 2, every: n})).lines;
    const [all, some] = [await every(1), await every(3)];
    expect(all.map(({step}) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(new Set(all.map(({loss}) => loss)).size).toBe(6);
    expect(some).toEqual(all.filter(({step}) => step % 3 === 0));
    expect(new Set(all.map(({tensors}) => tensors)).size).toBe(1);
  });
});
