// The training loop on the smallest recipe there is, for what a loop does whatever it trains.
import {pino} from 'pino';
import {stageSchemas} from '../../src/config/schema.ts';
import {type EngineName, type GroupPlace, openEngine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {type LoopPlace, runLoop} from '../../trainers/loop.ts';
import {disposeSlots, type MomentSlot, makeMomentSlots, makeSlots} from '../../trainers/optimizer/optimizer.ts';
import type {Recipe} from '../../trainers/recipe.ts';
import {randomBatch} from './batches.ts';
import {microConfig} from './micro_runs.ts';

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

/** The training loop with a model of six weights and, where asked for, an adversary of as many; sample n of the data is `sample-n`. */
export async function smallLoop(
  name: EngineName,
  options: {
    steps: number;
    bad?: Bad;
    accumulate?: number;
    every?: number;
    adversary?: boolean;
    place?: GroupPlace;
  },
) {
  const {steps, bad, accumulate = 1, every = 100, adversary = bad?.what === 'adversary', place} = options;
  const engine = await openEngine(name, place ? {place} : {});
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
              from: mean => tf.mean(mean) as tf.Scalar,
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
