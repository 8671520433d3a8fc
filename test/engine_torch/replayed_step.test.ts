// The training step over graphs, pretended on the CPU with what is hard about them: recording does nothing, a replay reads the
// graph's own inputs and writes the same outputs again, and what any other graph gave is gone by then. A model and its
// discriminator in two buckets, two micro-batches a step, end in the bytes of the step run each time.
import {captured, type Recorder} from 'tfjs-backend-torch/captured';
import {afterAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {type Engine, openEngine} from '../../src/engine/index.ts';
import {runFused} from '../../src/ops/fused.ts';
import {overwrite} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {autoencoderRecipe} from '../../trainers/autoencoder.ts';
import {disposeSlots, makeMomentSlots, makeSlots} from '../../trainers/optimizer/optimizer.ts';
import type {Recipe} from '../../trainers/recipe.ts';
import {figuresOf, openTrainingStep} from '../../trainers/step/training_step.ts';
import {randomBatch} from '../helpers/batches.ts';
import {microConfig} from '../helpers/micro_runs.ts';

const STEPS = 14;
let engine: Engine;

const copyOf = (tensor: tf.Tensor) => tf.tidy(() => tf.mul(tensor, 1));
const write = (target: tf.Tensor, source: tf.Tensor) => void runFused('Overwrite', [target, source], {});
const spoil = (target: tf.Tensor) => tf.tidy(() => write(target, tf.fill(target.shape, Number.NaN)));

function pretendedGraphs(): {capture: Engine['capture']; replays(): number} {
  const results = new Set<tf.Tensor>();
  let replays = 0;
  const recorder: Recorder = {
    warmUp: 3,
    guarded: step => step(),
    graphs: {
      copyOf,
      overwrite: write,
      record(step) {
        const variables = Object.values(tf.engine().registeredVariables);
        const before = variables.map(copyOf);
        const result = step();
        for (const [i, variable] of variables.entries()) overwrite(variable, before[i]!);
        tf.dispose(before);
        if (!(result instanceof tf.Tensor)) throw new Error('A step of the trainers gives one tensor.');
        results.add(result);
        spoil(result);
        const replay = () => {
          replays++;
          for (const other of results) spoil(other);
          const again = step();
          if (again instanceof tf.Tensor) write(result, again);
          tf.dispose(again as tf.Tensor);
        };
        return {result, graph: {replay, release: () => void results.delete(result)}};
      },
    },
  };
  return {capture: step => captured(step, recorder), replays: () => replays};
}

async function trained(capture: Engine['capture']) {
  const config = stageSchemas.autoencoder.parse({
    ...microConfig('autoencoder', {train: 'none.tar', heldOut: 'none.tar'}, {root: 'none'}),
    loss: {adversarial: {startStep: 2, optimizer: {learningRate: 1e-3}, discriminator: {channels: 4, layers: 1}}},
    train: {steps: STEPS, accumulate: 2},
  });
  const recipe = await autoencoderRecipe({config, frozen: undefined, heldOut: []});
  const slots = makeSlots(recipe.trained);
  const adversarySlots = makeMomentSlots(recipe.adversary?.trained ?? []);
  const tools = {config, engine: {...engine, capture}, recipe: recipe as Recipe, slots, adversarySlots};
  const trainingStep = openTrainingStep(tools);
  const figures = [];
  for (let step = 0; step < STEPS; step++) {
    const microBatches = [0, 1].map(microBatch => {
      const width = (step + microBatch) % 2 === 0 ? 16 : 24;
      const batch = randomBatch([2, 1, 16, width], 2 * step + microBatch);
      return tf.tidy(() => recipe.prepare(batch, {step, microBatch}));
    });
    const result = trainingStep.run(step, microBatches);
    figures.push(figuresOf(await result.figures.data(), 2));
    tf.dispose([result.figures, microBatches, ...(result.weight ? [result.weight] : [])]);
  }
  const state = [...slots, ...adversarySlots].flatMap(({variable, m, v, ...rest}) =>
    [variable, m, v, ...('ema' in rest ? [rest.ema as tf.Variable] : [])].map(tensor => [...tensor.dataSync()]),
  );
  trainingStep.dispose();
  disposeSlots([...slots, ...adversarySlots]);
  recipe.dispose();
  return {figures, state};
}

describe.skipIf(!isBuilt())('a training step on pretended graphs', () => {
  afterAll(async () => {
    await openEngine('torch');
  });

  // Under bf16 AdamW writes the copies of the weights as well, and the recording's restored variables make them stale.
  test.for(['fp32', 'bf16'] as const)('%s: replays end in the bytes of the step run each time', async precision => {
    engine = await openEngine('torch', {precision});
    const graphs = pretendedGraphs();
    const expected = await trained(engine.capture);
    const before = tf.memory().numTensors;
    const replayed = await trained(graphs.capture);
    expect(tf.memory().numTensors).toBe(before);
    expect(replayed).toEqual(expected);
    expect(new Set(expected.figures.map(({loss}) => loss)).size).toBe(STEPS);
    expect(expected.figures.filter(({adversary}) => adversary).length).toBe(STEPS - 2);
    // Two buckets of each micro-step, with and without the adversary's weight, its measure, its own, and both updates.
    expect(graphs.replays()).toBeGreaterThan(30);
  });
});
