// The stages that train against a discriminator: what is added to the loss and with which weight, gradients over
// micro-batches, LPIPS by the user's weights, what is frozen, and that a resumed run ends in the same bytes.
import {cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {loadCheckpoint, loadLatest} from '../../checkpoints/index.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {type Engine, openEngine} from '../../src/engine/index.ts';
import {Lpips} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {tensorsToWrite} from '../../src/weights/export_weights.ts';
import {writeSafetensors} from '../../src/weights/safetensors.ts';
import {autoencoderRecipe} from '../../trainers/autoencoder.ts';
import {decoderRecipe} from '../../trainers/decoder.ts';
import {loadRun} from '../../trainers/index.ts';
import {flicker} from '../../trainers/losses/flicker.ts';
import {meanGradients} from '../../trainers/optimizer/accumulate.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import type {Recipe} from '../../trainers/recipe.ts';
import {train} from '../../trainers/train.ts';
import {randomBatch} from '../helpers/batches.ts';
import {finalBytes, type MicroData, type MicroStage, microConfig, microData} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const folder = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-adversary-'));
let engine: Engine;
beforeAll(async () => {
  engine = await openEngine('wasm');
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

const nothing = {train: 'none.tar', heldOut: 'none.tar'};
const adversarial = {
  startStep: 2,
  weight: 0.5,
  optimizer: {learningRate: 1e-3},
  discriminator: {channels: 4, layers: 1},
};
const recipeWith = (loss: object) =>
  autoencoderRecipe({
    config: stageSchemas.autoencoder.parse({...microConfig('autoencoder', nothing, {root: folder}), loss}),
    frozen: undefined,
    heldOut: [],
  });
const norm = (values: ArrayLike<number>) => Math.sqrt(Array.from(values).reduce((sum, value) => sum + value ** 2, 0));
const value = (scalar: tf.Tensor) => scalar.dataSync()[0]!;
/** The adversary's adaptive weight over the micro-batches of a step. */
function weightOf<Inputs extends tf.TensorContainer>({adversary}: Recipe<Inputs>, microBatches: Inputs[]): tf.Scalar {
  const {weight} = adversary!;
  if (typeof weight === 'number') throw new Error('The weight is fixed.');
  return tf.tidy(() =>
    weight.from(tf.div(tf.addN(microBatches.map(inputs => weight.measure(inputs, engine))), microBatches.length)),
  );
}

describe('autoencoder', () => {
  test("the adversary's weight is the ratio of the two gradients at the last layer", async () => {
    const recipe = await recipeWith({kl: 0, adversarial});
    const inputs = recipe.prepare(randomBatch([2, 1, 16, 16]), {step: 0, microBatch: 0});
    const {variable} = recipe.trained.find(({spec}) => spec.path === 'decoder.conv_out.weight')!;
    const gradientAt = (weight: number) => {
      const loss = () => recipe.loss(inputs, tf.scalar(weight));
      return tf.variableGrads(loss, [variable]).grads[variable.name]!.dataSync<'float32'>();
    };
    // The loss is linear in the weight, so the term's own gradient is the difference of two.
    const [without, half, whole] = [gradientAt(0), gradientAt(0.5), gradientAt(1)];
    const term = whole.map((gradient, i) => gradient - without[i]!);
    expect(half[0]! - without[0]!).toBeCloseTo(term[0]! / 2, 5);
    const expected = (0.5 * norm(without)) / (norm(term) + 1e-4);
    const before = tf.memory().numTensors;
    const weight = weightOf(recipe, [inputs]);
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(value(weight) / expected).toBeCloseTo(1, 3);
    expect(value(recipe.loss(inputs, weight))).not.toBe(value(recipe.loss(inputs)));
    recipe.dispose();
  });

  test('4 micro-batches of 2 give the weight and both gradients of a batch of 8', async () => {
    const recipe = await recipeWith({adversarial});
    const all = recipe.prepare(randomBatch([8, 1, 16, 16]), {step: 0, microBatch: 0});
    const parts = [0, 2, 4, 6].map(from => ({
      pixels: tf.slice(all.pixels, from, 2),
      noise: tf.slice(all.noise, from, 2),
    }));
    const {adversary, trained} = recipe;
    const weights = [[all], parts].map(batches => weightOf(recipe, batches));
    expect(value(weights[1]!) / value(weights[0]!)).toBeCloseTo(1, 5);
    const variables = (of: readonly {variable: tf.Variable}[]) => of.map(({variable}) => variable);
    for (const [of, loss] of [
      [trained, (inputs: typeof all) => recipe.loss(inputs, weights[0]!)],
      [adversary!.trained, (inputs: typeof all) => adversary!.loss(inputs)],
    ] as const) {
      const flat = async (batches: (typeof all)[]) => {
        const {gradients} = await meanGradients(engine, variables(of), batches, loss);
        return gradients.flatMap(gradient => [...gradient.dataSync()]);
      };
      const [large, small] = [await flat([all]), await flat(parts)];
      expect(norm(large)).toBeGreaterThan(0);
      expect(norm(small.map((gradient, i) => gradient - large[i]!)) / norm(large)).toBeLessThan(1e-5);
    }
    recipe.dispose();
  });

  test("LPIPS by the user's weights is part of the loss and of the figures; without them it says what to bring", async () => {
    const lpips = new Lpips().allocate(1);
    const [vgg, linear] = [path.join(folder, 'vgg.safetensors'), path.join(folder, 'linear.safetensors')];
    const tensors = [...tensorsToWrite(lpips)];
    await writeSafetensors(
      vgg,
      tensors.filter(([name]) => name.startsWith('features.')),
    );
    await writeSafetensors(
      linear,
      tensors.filter(([name]) => name.startsWith('lin')),
    );
    lpips.dispose();
    await expect(recipeWith({perceptual: {weights: [vgg]}})).rejects.toThrow('do not hold all of LPIPS');
    expect(() => stageSchemas.autoencoder.parse({loss: {perceptual: {weight: 1}}})).toThrow("torchvision's vgg16");
    const plain = await recipeWith({kl: 0});
    const perceptual = await recipeWith({kl: 0, perceptual: {weights: [vgg, linear], weight: 2}});
    const inputs = plain.prepare(randomBatch([1, 1, 16, 16]), {step: 0, microBatch: 0});
    const {value: loss, grads} = engine.valueAndGrads(
      () => perceptual.loss(inputs),
      perceptual.trained.map(({variable}) => variable),
    );
    expect(value(loss)).not.toBeCloseTo(value(plain.loss(inputs)), 3);
    expect(grads.every(gradient => [...gradient.dataSync()].every(Number.isFinite))).toBe(true);
    expect(perceptual.trained.some(({spec}) => spec.path.includes('features'))).toBe(false);
    for (const recipe of [plain, perceptual]) recipe.dispose();
  });

  test('sizes that a discriminator cannot see are refused by name', async () => {
    const deep = {...adversarial, discriminator: {channels: 4, layers: 3}};
    await expect(recipeWith({adversarial: deep})).rejects.toThrow('data.size [16,16] is too small');
  });
});

describe('runs', () => {
  let data: MicroData;
  let root = '';
  const configOf = (stage: MicroStage, run: object = {}, change: object = {}) =>
    ({
      ...microConfig(stage, data, {root, steps: 5, checkpointEvery: 1, ...run}),
      checkpoint: {every: 1, keepLast: 10},
      ...(stage === 'autoencoder' ? {loss: {adversarial}} : {}),
      ...change,
    }) as object;
  const trainStage = (stage: MicroStage, run: object = {}, change: object = {}) =>
    train(stageSchemas[stage].parse(configOf(stage, run, change)), {logStyle: 'json'});
  beforeAll(async () => {
    data = await microData();
    root = path.join(data.folder, 'runs');
    for (const stage of ['autoencoder', 'decoder'] as const) await trainStage(stage);
  }, 3 * MINUTES);
  afterAll(() => data?.remove());

  test.each(['autoencoder', 'decoder'] as const)(
    '%s: resumed before and after the discriminator starts, it ends in the same bytes',
    async stage => {
      const whole = finalBytes(path.join(root, stage));
      expect(whole.adversary!.length).toBeGreaterThan(1000);
      for (const from of [1, 3]) {
        const own = path.join(data.folder, `resumed-${stage}-${from}`);
        cpSync(path.join(root, stage), path.join(own, stage), {recursive: true});
        const checkpoints = path.join(own, stage, 'checkpoints');
        for (const name of readdirSync(checkpoints))
          if (Number(/^step-(\d+)$/.exec(name)?.[1]) > from) rmSync(path.join(checkpoints, name), {recursive: true});
        writeFileSync(path.join(checkpoints, 'latest'), `step-${String(from).padStart(9, '0')}\n`);
        await trainStage(stage, {root: own, parents: root});
        const resumed = finalBytes(path.join(own, stage));
        for (const name of Object.keys(whole))
          expect(resumed[name]!.equals(whole[name]!), `${name} from ${from}`).toBe(true);
      }
    },
    2 * MINUTES,
  );

  test('the discriminator moves only once it takes part', async () => {
    const at = async (step: number) => {
      const {companions} = await loadCheckpoint(path.join(root, 'decoder', 'checkpoints', `step-00000000${step}`));
      return companions!.adversary!.get('video.convs.0.weight')!.data;
    };
    expect(await at(2)).toEqual(await at(1));
    expect(await at(3)).not.toEqual(await at(2));
    expect(await at(4)).not.toEqual(await at(3));
  });

  test('no tensor is left behind by a step with a discriminator', () => {
    for (const stage of ['autoencoder', 'decoder']) {
      const tensors = readFileSync(path.join(root, stage, 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as {kind: string; step: number; tensors: number; adversaryWeight?: number})
        .filter(({kind, adversaryWeight}) => kind === 'train' && adversaryWeight !== undefined)
        .map(line => line.tensors);
      expect(tensors.length).toBe(3);
      expect(new Set(tensors).size, stage).toBe(1);
    }
  });

  test('flicker is the change of the error, not the error; by option it is part of the loss', async () => {
    const truth = tf.randomUniform([1, 3, 2, 2, 3]) as tf.Tensor5D;
    expect(value(flicker(tf.add(truth, 0.25), truth)!)).toBeCloseTo(0, 6);
    const blinking = tf.add(truth, tf.tensor5d([0, 0.5, 0], [1, 3, 1, 1, 1])) as tf.Tensor5D;
    expect(value(flicker(blinking, truth)!)).toBeCloseTo(0.5, 6);
    expect(flicker(tf.slice(truth, [0, 0], [1, 1]), tf.slice(truth, [0, 0], [1, 1]))).toBeUndefined();
    const frozen = await freezeParent(stageSchemas.decoder.parse(configOf('decoder')));
    const lossOf = async (loss: object) => {
      const config = stageSchemas.decoder.parse(configOf('decoder', {}, {loss}));
      const recipe = await decoderRecipe({config, frozen, heldOut: []});
      const inputs = recipe.prepare(randomBatch([1, 4, 16, 16]), {step: 0, microBatch: 0});
      const loss_ = value(recipe.loss(inputs));
      recipe.dispose();
      return loss_;
    };
    const [plain, once, twice] = [await lossOf({}), await lossOf({flicker: 1}), await lossOf({flicker: 2})];
    expect(once).toBeGreaterThan(plain);
    expect(twice - plain).toBeCloseTo(2 * (once - plain), 4);
  });

  test('decoder: only its layers over time train; encoder and spatial weights keep their bytes', async () => {
    const [parent, tuned] = [
      await loadRun(path.join(root, 'autoencoder')),
      await loadRun(path.join(root, 'decoder'), 'raw'),
    ];
    const isTemporal = (name: string) => /temporal_res_block|time_mixer|time_conv_out/.test(name);
    const before = parent.autoencoder!.weights;
    const after = tuned.autoencoder!.weights;
    expect(tuned.autoencoder!.config.temporalDecoder).toBeDefined();
    expect([...before.keys()].some(name => name.startsWith('encoder.'))).toBe(true);
    for (const [name, {data: values}] of before) expect(after.get(name)!.data, name).toEqual(values);
    const added = [...after.keys()].filter(name => !before.has(name));
    expect(added.length).toBeGreaterThan(20);
    expect(added.every(isTemporal)).toBe(true);
    const {state} = (await loadLatest(path.join(root, 'decoder', 'checkpoints')))!;
    expect([...state.weights.keys()].sort()).toEqual([...added].sort());
    expect([...state.optimizers.adamw!.keys()].every(isTemporal)).toBe(true);
    expect(state.metrics.flicker).toBeGreaterThan(0);
  });

  test(
    'the whole decoder, and the control without layers over time',
    async () => {
      await trainStage('decoder', {name: 'whole', steps: 1}, {trains: 'decoder'});
      const {state} = (await loadLatest(path.join(root, 'whole', 'checkpoints')))!;
      expect([...state.weights.keys()].some(name => name.startsWith('encoder.') || name.startsWith('quant_conv'))).toBe(
        false,
      );
      expect(state.weights.has('decoder.conv_in.weight')).toBe(true);
      expect(state.weights.has('decoder.time_conv_out.weight')).toBe(true);
      await trainStage('decoder', {name: 'control', steps: 1}, {trains: 'decoder', overTime: false});
      const control = (await loadLatest(path.join(root, 'control', 'checkpoints')))!.state;
      expect(control.weights.has('decoder.conv_in.weight')).toBe(true);
      expect([...control.weights.keys()].some(name => name.includes('time_'))).toBe(false);
      await expect(trainStage('decoder', {name: 'empty', steps: 1}, {overTime: false})).rejects.toThrow(
        'set trains to "decoder"',
      );
    },
    MINUTES,
  );
});
