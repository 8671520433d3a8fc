// Layers over time whose text encoder is not the spatial layers' (personalised models): every stage that goes on from them
// tells each kind of layer the text by its own encoder, in training, held-out figures, sampling and export.
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {writeShapeShards} from '../../scripts/moving_shapes.ts';
import {mergeSampling} from '../../src/config/pipeline.ts';
import {type StageConfig, stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {importModels} from '../../src/weights/import_models.ts';
import {unetFromDiffusers} from '../../src/weights/key_maps/diffusers_configs.ts';
import {temporalToJson} from '../../src/weights/key_maps/temporal_config.ts';
import {writeSafetensors} from '../../src/weights/safetensors.ts';
import {exportModels} from '../../trainers/export_models.ts';
import {loadRun} from '../../trainers/index.ts';
import {buildConditionEncoder, openConditioning} from '../../trainers/inputs/conditions.ts';
import {heldOutBatches} from '../../trainers/inputs/data.ts';
import {loadModelFolder} from '../../trainers/parents/load_models.ts';
import {ofText} from '../../trainers/parents/resolve_conditions.ts';
import {buildModels, encodeConditions} from '../../trainers/sampling/build_models.ts';
import {readParts} from '../../trainers/sampling/host_parts.ts';
import {recipeOf} from '../../trainers/stages.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, microConfig, microData} from '../helpers/micro_runs.ts';
import {randomTensors, smallUNetJson, writeModelFolder} from '../helpers/model_folders.ts';
import {tinyTemporal} from '../models/tiny.ts';

const MINUTES = 60_000;
const stages = ['temporal', 'prediction', 'interpolation'] as const;
let data: MicroData;
let root = '';
const at = (...names: string[]) => path.join(data.folder, ...names);
const parse = (stage: (typeof stages)[number], from: string) =>
  stageSchemas[stage].parse({...microConfig(stage, data, {root, steps: 2}), from}) as StageConfig;

beforeAll(async () => {
  const made = await microData();
  const clips = {frames: 17, size: 16, fps: 24, pace: 0.03};
  const shards = path.join(made.folder, 'shapes');
  data = {
    ...made,
    train: await writeShapeShards(shards, 'train', {...clips, count: 6, seed: 1}),
    heldOut: await writeShapeShards(shards, 'validation', {...clips, count: 2, seed: 2}),
  };
  root = at('runs');
  await writeModelFolder(at('video'));
  await writeModelFolder(at('personal'), {seed: 9});
  mkdirSync(at('video', 'temporal'));
  writeFileSync(at('video', 'temporal', 'config.json'), JSON.stringify(temporalToJson(tinyTemporal)));
  const overTime = new UNet({...unetFromDiffusers(smallUNetJson), temporal: tinyTemporal})
    .weightSpecs()
    .filter(({part}) => part === 'temporal');
  const file = at('video', 'temporal', 'diffusion_pytorch_model.safetensors');
  await writeSafetensors(file, randomTensors(overTime, {seed: 4}), {metadata: {format: 'pt'}});
  await importModels({source: at('personal'), out: at('both'), temporal: at('video')});
  await openEngine('wasm');
  let from = at('both');
  for (const stage of stages) {
    await train(parse(stage, from), {logStyle: 'json'});
    from = path.join(root, stage);
  }
}, 3 * MINUTES);
afterAll(() => data?.remove());

test.each(stages)('%s keeps both text encoders as they were', async stage => {
  const [run, both] = [await loadRun(path.join(root, stage)), await loadModelFolder(at('both'))];
  expect(run.temporalText).toEqual(both.temporalText);
  const text = [...run.conditions!.weights].map(([name, {data: values}]) => [name, values]);
  expect(text).toEqual([...both.text!.weights].map(([name, {data: values}]) => [`text_encoder.${name}`, values]));
});

test.each(stages)('%s is trained with the text of the layers over time by their own encoder', async stage => {
  const run = await loadRun(path.join(root, stage));
  const config = run.config;
  const frozen = {...run, parent: {path: '', stage: '', step: 0}};
  const [clip] = await heldOutBatches(config, frozen);
  const never = {all: 0, text: 0, labels: 0, boxes: 0, fps: 0};
  const heldOut = [clip!];
  const recipe = await recipeOf({
    ...{config, heldOut},
    frozen: {...frozen, conditions: {...run.conditions!, drop: never}},
  });
  const inputs = tf.tidy(() => recipe.prepare(clip!, {step: 0, microBatch: 0})) as {
    conditions: {temporalText?: tf.Tensor; temporalContext?: tf.Tensor};
  };
  const given = inputs.conditions.temporalText ?? inputs.conditions.temporalContext;
  const own = buildConditionEncoder(ofText(run.temporalText!));
  const expected = own.encode(clip!.captions.map(text => ({text}))).context!;
  expect(clip!.captions[0]).toMatch(/moves/);
  expect(given!.dataSync()).toEqual(expected.dataSync());
  const other = buildConditionEncoder(run.conditions!);
  const spatial = other.encode(clip!.captions.map(text => ({text}))).context!;
  expect(spatial.dataSync()).not.toEqual(expected.dataSync());

  const loss = (values: object) => (recipe.loss(values as tf.TensorContainer) as tf.Scalar).dataSync()[0];
  const name = inputs.conditions.temporalText ? 'temporalText' : 'temporalContext';
  const told = loss(inputs);
  const toldByOther = loss({...inputs, conditions: {...inputs.conditions, [name]: spatial}});
  expect(told).not.toBe(toldByOther);
  expect(loss({...inputs, conditions: {...inputs.conditions, [name]: expected}})).toBe(told);
  own.dispose();
  other.dispose();
  recipe.dispose();
  tf.dispose(inputs);
});

test('a text that is left out is left out for both kinds of layers', async () => {
  const run = await loadRun(path.join(root, 'prediction'));
  const [clip] = await heldOutBatches(run.config, run);
  const drop = {all: 1, text: 0, labels: 0, boxes: 0, fps: 0};
  const {temporalText} = run;
  const conditioning = openConditioning({...run.conditions!, drop}, {seed: 1, train: false, temporalText})!;
  const [dropped, none] = tf.tidy(() => {
    const told = conditioning.inputs(conditioning.prepare(clip!, 'clips', {seed: 1, place: {step: 0, microBatch: 0}}));
    const empty = conditioning.encode(clip!.keys.map(() => ({})));
    const values = ({context, temporalContext}: typeof told) => [context!.arraySync(), temporalContext!.arraySync()];
    return [values(told), values(empty)];
  });
  expect(dropped).toEqual(none);
  const before = tf.memory().numTensors;
  tf.dispose(conditioning.prepare(clip!, 'clips', {seed: 1, place: {step: 1, microBatch: 0}}));
  expect(tf.memory().numTensors).toBe(before);
  conditioning.dispose();
});

test('sampling tells every part of a pipeline both texts, and an export keeps them', async () => {
  const host = await readParts(
    {
      keyFrames: path.join(root, 'temporal'),
      prediction: path.join(root, 'prediction'),
      interpolation: path.join(root, 'interpolation'),
    },
    'ema',
  );
  const models = buildModels(host, mergeSampling({}, {}), undefined);
  for (const part of [models.keyFrames, models.prediction!, models.interpolation!]) {
    const {conditions} = encodeConditions(part, {prompt: 'a red disc moves left'}, {fps: 8});
    expect(conditions.context!.shape).toEqual(conditions.temporalContext!.shape);
    expect(conditions.context!.dataSync()).not.toEqual(conditions.temporalContext!.dataSync());
  }
  models.dispose();
  await exportModels({run: path.join(root, 'prediction'), out: at('exported')});
  const [exported, run] = [await loadModelFolder(at('exported')), await loadRun(path.join(root, 'prediction'))];
  expect(exported.temporalText).toEqual(run.temporalText);
  expect(exported.unet!.weights).toEqual(run.unet!.weights);
});
