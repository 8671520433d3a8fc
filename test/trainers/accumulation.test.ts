// Four micro-batches of two give the loss and the gradients of a batch of eight, for every stage. Discriminators are off: their
// BatchNorm takes statistics of a micro-batch (what they give with accumulation is in adversary.test.ts).
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {type StageConfig, stageSchemas} from '../../src/config/schema.ts';
import {type Engine, openEngine} from '../../src/engine/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {meanGradients} from '../../trainers/optimizer/accumulate.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import type {TrainedWeight} from '../../trainers/recipe.ts';
import {recipeOf} from '../../trainers/stages.ts';
import {train} from '../../trainers/train.ts';
import {randomBatch} from '../helpers/batches.ts';
import {type MicroData, type MicroStage, microConfig, microData} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const [BATCH, MICRO_BATCHES] = [8, 4];
const framesOf = {
  autoencoder: 1,
  image: 1,
  temporal: 4,
  prediction: 4,
  interpolation: 17,
  decoder: 4,
  'upsampler-image': 1,
  upsampler: 4,
} as const satisfies Record<MicroStage, number>;
const parents = ['autoencoder', 'image', 'temporal', 'prediction', 'upsampler-image'] as const;
let data: MicroData;
let engine: Engine;
const configOf = (stage: MicroStage): StageConfig => {
  const config = microConfig(stage, data, {root: path.join(data.folder, 'runs'), steps: 1});
  return stageSchemas[stage].parse(stage === 'decoder' ? {...config, loss: {}} : config) as StageConfig;
};

beforeAll(async () => {
  data = await microData();
  engine = await openEngine('wasm');
  for (const stage of parents) await train(configOf(stage), {logStyle: 'json'});
}, 3 * MINUTES);
afterAll(() => data?.remove());

test.each(Object.keys(framesOf) as MicroStage[])(
  '%s',
  async stage => {
    const config = configOf(stage);
    const recipe = await recipeOf({config, frozen: await freezeParent(config), heldOut: []});
    moveFromZero(recipe.trained);
    const all = recipe.prepare(randomBatch([BATCH, framesOf[stage], 16, 16]), {step: 0, microBatch: 0});
    const parts = Array.from({length: MICRO_BATCHES}, (_, part) => rowsOf(all, part));
    const variables = recipe.trained.map(({variable}) => variable);
    const update = async (batches: readonly tf.TensorContainer[]) => {
      const {loss, gradients} = await meanGradients(engine, variables, batches, inputs => recipe.loss(inputs));
      const values = gradients.map(gradient => gradient.dataSync<'float32'>().slice());
      tf.dispose(gradients);
      return {loss, values};
    };
    const [large, small] = [await update([all]), await update(parts)];
    for (const [i, gradient] of large.values.entries()) {
      const {path: name} = recipe.trained[i]!.spec;
      expect(norm(gradient), `${name} has no gradient`).toBeGreaterThan(0);
    }
    const [one, other] = [large, small].map(({values}) => values.flatMap(gradient => [...gradient]));
    expect(norm(other!.map((value, i) => value - one![i]!)) / norm(one!)).toBeLessThan(1e-5);
    expect(Math.abs(small.loss / large.loss - 1)).toBeLessThan(1e-5);
    tf.dispose([all, parts]);
    recipe.dispose();
  },
  MINUTES,
);

/** What starts at zero would give no gradient to the layers before it. */
function moveFromZero(trained: readonly TrainedWeight[]): void {
  for (const [step, {variable}] of trained.entries()) {
    const moved = normals({seed: 1, stream: 'synthetic', step}, variable.size).map(value => 0.05 * value);
    tf.tidy(() => variable.assign(tf.add(variable, tf.tensor(moved, variable.shape))));
  }
}

/** Micro-batch `part` of prepared inputs: of every tensor, its share of the rows. */
function rowsOf(inputs: tf.TensorContainer, part: number): tf.TensorContainer {
  if (inputs instanceof tf.Tensor) {
    const rows = inputs.shape[0]! / MICRO_BATCHES;
    return tf.slice(inputs, part * rows, rows);
  }
  return Object.fromEntries(
    Object.entries(inputs as Record<string, tf.TensorContainer>).map(([name, value]) => [name, rowsOf(value, part)]),
  );
}

function norm(values: ArrayLike<number>): number {
  return Math.sqrt(Array.from(values).reduce((sum, value) => sum + value ** 2, 0));
}
