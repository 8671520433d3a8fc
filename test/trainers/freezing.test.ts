// What a stage freezes has no gradient computed, no optimiser slot, and the same bytes after training; what it trains has
// moved: for every diffusion stage.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {loadCheckpoint, loadLatest} from '../../checkpoints/index.ts';
import {batches} from '../../datasets/index.ts';
import {type StageConfig, stageSchemas} from '../../src/config/schema.ts';
import {type Engine, openEngine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {type LoadedRun, loadRun} from '../../trainers/index.ts';
import {heldOutBatches, trainingData} from '../../trainers/inputs/data.ts';
import {readFrozen} from '../../trainers/parents/frozen.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import {runFolderAt} from '../../trainers/run/run_folder.ts';
import {recipeOf} from '../../trainers/stages.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, type MicroStage, microConfig, microData} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const isTemporal = (name: string) => /temporal_|time_mixer|time_pos_embed|context_/.test(name);
const isContextPath = (name: string) => name.startsWith('context_path.');
const stages = ['autoencoder', 'image', 'temporal', 'prediction', 'interpolation'] as const satisfies MicroStage[];
let data: MicroData;
let root = '';
let engine: Engine;
const configs = new Map<MicroStage, StageConfig>();
const runAt = (stage: MicroStage) => path.join(root, stage);

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  engine = await openEngine('wasm');
  for (const stage of stages) {
    const config = stageSchemas[stage].parse(microConfig(stage, data, {root, steps: 3})) as StageConfig;
    configs.set(stage, config);
    await train(config, {logStyle: 'json'});
  }
}, 3 * MINUTES);
afterAll(() => data?.remove());

interface Frozen {
  stage: 'image' | 'temporal' | 'prediction' | 'interpolation';
  parent: MicroStage;
  /** Weights that train, by name. */
  trains: (name: string) => boolean;
  /** Kernels of 2-D convolutions that train: those whose filter gradient is computed. */
  filters: (names: string[]) => number;
}
/** 3x3; convolutions of one pixel run as matrix products. */
const isFilter = (run: LoadedRun, name: string) => {
  const {layout, shape} = run.unet!.weights.get(name)!;
  return layout === 'conv2d' && shape[0] === 3;
};
const cases: Frozen[] = [
  {stage: 'image', parent: 'autoencoder', trains: () => true, filters: names => names.length},
  {stage: 'temporal', parent: 'image', trains: isTemporal, filters: () => 0},
  {stage: 'prediction', parent: 'temporal', trains: isTemporal, filters: names => names.filter(isContextPath).length},
  {stage: 'interpolation', parent: 'prediction', trains: () => true, filters: names => names.length},
];

describe.each(cases)('$stage', ({stage, parent, trains, filters}) => {
  test('what is frozen keeps its bytes', async () => {
    const [before, after] = [await loadRun(runAt(parent)), await loadRun(runAt(stage), 'raw')];
    for (const part of ['unet', 'autoencoder'] as const) {
      for (const [name, {data: values}] of before[part]?.weights ?? []) {
        if (part === 'unet' && trains(name)) continue;
        const now = after[part]!.weights.get(name)!.data;
        expect(Buffer.from(now.buffer).equals(Buffer.from(values.buffer)), `${part} ${name}`).toBe(true);
      }
    }
  });

  test('every weight that trains has moved, and nothing else has a slot', async () => {
    const checkpoints = path.join(runAt(stage), 'checkpoints');
    const before = await loadCheckpoint(path.join(checkpoints, 'step-000000002'));
    const after = (await loadLatest(checkpoints))!.state;
    expect(after.step).toBe(3);
    expect(after.weights.size).toBeGreaterThan(50);
    for (const [name, {data: values}] of after.weights) {
      expect(trains(name), name).toBe(true);
      const moved = values.some((value, i) => value !== before.weights.get(name)!.data[i]);
      expect(moved, `${name} did not move`).toBe(true);
    }
    const slots = [...after.optimizers.adamw!.keys()];
    expect(slots).toHaveLength(2 * after.weights.size);
    const whole = await loadRun(runAt(stage));
    const expected = [...whole.unet!.weights.keys()].filter(trains).sort();
    expect([...after.weights.keys()].sort()).toEqual(expected);
  });

  test('no gradient of a frozen weight is computed', async () => {
    const config = configs.get(stage)!;
    const frozen = await readFrozen(runFolderAt(runAt(stage)).frozen);
    const heldOut = await heldOutBatches(config, frozen);
    const recipe = await recipeOf({config, frozen, heldOut});
    const source = batches(trainingData(config, frozen), {seed: 1});
    const {value: batch} = await source.next();
    await source.return(undefined);
    const inputs = tf.tidy(() => recipe.prepare(batch!, {step: 0, microBatch: 0}));
    const variables = recipe.trained.map(({variable}) => variable);
    const {kernelNames, kernels} = await tf.profile(() => {
      const {value, grads} = engine.valueAndGrads(() => recipe.loss(inputs), variables);
      tf.dispose(grads);
      return value;
    });
    expect(kernelNames).toContain('Conv2DBackpropInput');
    const run = await loadRun(runAt(stage));
    const convolutions = [...run.unet!.weights.keys()].filter(name => isFilter(run, name));
    // Convolutions over time are (3,1) here.
    const squares = kernels.filter(
      ({name, outputShapes: [shape]}) => name === 'Conv2DBackpropFilter' && shape![0] === shape![1],
    );
    expect(squares).toHaveLength(filters(convolutions));
    tf.dispose(inputs);
    recipe.dispose();
  });
});

test('what a stage adds to the network changes nothing until it learns', () => {
  const first = (stage: MicroStage) =>
    JSON.parse(readFileSync(path.join(runAt(stage), 'metrics.jsonl'), 'utf8').split('\n')[0]!) as Record<
      string,
      number
    >;
  const prediction = first('prediction');
  expect(prediction).toMatchObject({kind: 'heldOut', step: 0});
  expect(prediction['unseen.s1']).toBe(prediction['unseen.s0']);
  expect(prediction['unseen.s2']).toBe(prediction['unseen.s0']);
  const interpolation = first('interpolation');
  expect(interpolation['fine.otherLevel']).toBe(interpolation.fine);
  expect(interpolation['coarse.otherLevel']).toBe(interpolation.coarse);
});

test.each(['temporal', 'prediction', 'interpolation'] as const)(
  "%s keeps its parent's schedule and prediction",
  async stage => {
    const config = configs.get(stage)!;
    const other = (diffusion: object) => freezeParent(stageSchemas[stage].parse({...config, diffusion}) as StageConfig);
    await expect(other({prediction: 'v'})).rejects.toThrow('diffusion.prediction is v');
    await expect(other({schedule: {betaStart: 0.001}})).rejects.toThrow('diffusion.schedule.betaStart is 0.001');
    expect((await other({}))!.diffusion!.prediction).toBe('eps');
  },
);
