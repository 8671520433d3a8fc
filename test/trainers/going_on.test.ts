// Every stage goes on from a run of its own: it begins where that one ended, trains and freezes the same, and its checkpoints
// say what they grew out of. What the parent's layers cannot take is refused by name.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {compareConfigs, loadLatest, type NamedTensors} from '../../checkpoints/index.ts';
import {type StageConfig, stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {loadRun} from '../../trainers/index.ts';
import {predictionUNet} from '../../trainers/parents/networks.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import {inspectRun} from '../../trainers/reports/inspect.ts';
import {comparable, resumeRules} from '../../trainers/run/resume_rules.ts';
import {asJson} from '../../trainers/run/train_state.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, type MicroStage, microConfig, microData, microStages} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const STEPS = 3;
let data: MicroData;
let root = '';
const runAt = (name: string) => path.join(root, name);

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  await openEngine('wasm');
  for (const stage of microStages) await train(first(stage), {logStyle: 'json'});
}, 4 * MINUTES);
afterAll(() => data?.remove());

const parse = (stage: MicroStage, config: object) => stageSchemas[stage].parse(config) as StageConfig;
const first = (stage: MicroStage, change: object = {}) =>
  parse(stage, {...microConfig(stage, data, {root, steps: STEPS}), ...change});

/** The same stage from a run, with nothing described that the run brings. */
function again(stage: MicroStage, name: string, change: object = {}, from: string = stage): StageConfig {
  const {
    autoencoder: _,
    unet: __,
    upsampling: ___,
    diffusion: ____,
    ...config
  } = microConfig(stage, data, {
    ...{root, name, steps: STEPS},
  }) as Record<string, unknown>;
  return parse(stage, {...config, from: runAt(from), optimizer: {learningRate: 1e-3, emaDecay: 0.9}, ...change});
}

/** Held-out figures of averaged weights, as a run wrote them. */
function heldOut(run: string, which: 'first' | 'last'): Record<string, number> {
  const lines = readFileSync(path.join(runAt(run), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, number | string>)
    .filter(({kind}) => kind === 'heldOut');
  const figures = Object.entries(lines.at(which === 'first' ? 0 : -1)!);
  const averaged = figures.filter(([name, value]) => typeof value === 'number' && !/^(raw\.|step$|time$)/.test(name));
  return Object.fromEntries(averaged) as Record<string, number>;
}

const bytes = ({data: values}: {data: Float32Array}) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);
const state = async (run: string) => (await loadLatest(path.join(runAt(run), 'checkpoints')))!.state;

/** How many weights of its network each stage leaves as they are. */
const freezes = (stage: MicroStage) => ['temporal', 'prediction', 'decoder', 'upsampler'].includes(stage);

describe.each(microStages)('%s', stage => {
  const name = `${stage}-again`;
  const network = stage === 'autoencoder' || stage === 'decoder' ? 'autoencoder' : 'unet';

  test(
    'begins where its parent ended, trains and freezes the same, and knows its lineage',
    async () => {
      await train(again(stage, name), {logStyle: 'json'});
      const [ended, begins] = [heldOut(stage, 'last'), heldOut(name, 'first')];
      expect(Object.keys(ended)).toContain('loss');
      expect(begins).toEqual(ended);

      const [before, after] = [await loadRun(runAt(stage)), await loadRun(runAt(name), 'raw')];
      const [own, parents] = [await state(name), await state(stage)];
      expect([...own.weights.keys()]).toEqual([...parents.weights.keys()]);
      expect(own.optimizers.adamw!.size).toBe(2 * own.weights.size);
      let frozen = 0;
      for (const [weight, was] of before[network]!.weights as NamedTensors<Float32Array>) {
        const same = bytes(after[network]!.weights.get(weight)!).equals(bytes(was));
        expect(same, weight).toBe(!own.weights.has(weight));
        if (same) frozen++;
      }
      expect(frozen > 0).toBe(freezes(stage));
      expect(own.weights.size).toBeGreaterThan(20);
      if (network === 'unet')
        for (const [weight, was] of before.autoencoder?.weights ?? [])
          expect(bytes(after.autoencoder!.weights.get(weight)!).equals(bytes(was)), weight).toBe(true);

      expect(own.lineage).toEqual([{path: before.checkpoint, stage, step: STEPS}, ...(parents.lineage ?? [])]);
      const inspected = await inspectRun((await loadLatest(path.join(runAt(name), 'checkpoints')))!.path);
      expect(inspected).toContain(`from ${before.checkpoint} (${stage}, step ${STEPS})`);
    },
    MINUTES,
  );
});

test('the lineage goes back to the first run', async () => {
  const lineage = (await state('interpolation-again')).lineage!;
  expect(lineage.map(one => one.stage)).toEqual(['interpolation', 'prediction', 'temporal', 'image', 'autoencoder']);
});

test('layers over time go on at other frame rates, lengths and sizes, with another window', async () => {
  const {data: of} = microConfig('temporal', data, {root}) as {data: object};
  const other = {...of, frames: 8, fps: 12, size: [8, 24]};
  await train(again('temporal', 'temporal-other', {data: other, temporal: {window: 3}}), {logStyle: 'json'});
  const [before, after] = [await loadRun(runAt('temporal')), await loadRun(runAt('temporal-other'), 'raw')];
  expect(after.unet!.config).toEqual({
    ...before.unet!.config,
    temporal: {...before.unet!.config.temporal, window: 3},
  });
  const {weights: trained} = await state('temporal-other');
  for (const [weight, was] of before.unet!.weights) {
    const trains = trained.has(weight);
    expect(bytes(after.unet!.weights.get(weight)!).equals(bytes(was)), weight).toBe(!trains);
  }
});

describe('refusals', () => {
  const refused = (config: StageConfig) => expect(freezeParent(config)).rejects;

  test('other layers over time than the parent has', async () => {
    const other = (temporal: object) => refused(again('temporal', 'refused', {temporal}));
    await other({conv: false}).toThrow(/temporal\.conv is false, but the layers over time of .* have true/);
    await other({kernel: [3, 3, 3]}).toThrow('temporal.kernel is 3,3,3');
    await other({alpha: {kind: 'fixed'}}).toThrow('temporal.alpha.kind is fixed');
    await other({alpha: {per: 'frame'}}).toThrow('temporal.alpha.per is frame');
    await refused(again('upsampler', 'refused', {temporal: {attention: false}})).toThrow('temporal.attention is false');
    await refused(again('decoder', 'refused', {temporal: {}})).toThrow('"temporal" is given, but');
  });

  test('clips of another length than the parent has alphas for', async () => {
    const perFrame = {run: {name: 'temporal-per-frame', root, seed: 5}, temporal: {alpha: {per: 'frame'}}};
    await train(first('temporal', perFrame), {logStyle: 'json'});
    const {data: of} = microConfig('temporal', data, {root}) as {data: object};
    const longer = {data: {...of, frames: 8, fps: 12}};
    await refused(again('temporal', 'refused', longer, 'temporal-per-frame')).toThrow(
      'The parent learned one alpha for each of 4 frames and cannot take clips of 8',
    );
    const same = await freezeParent(again('temporal', 'same', {}, 'temporal-per-frame'));
    expect(same!.unet!.config.temporal!.alpha).toMatchObject({per: 'frame', frames: 4});
  });

  test('another width of the path of given frames', async () => {
    const context = {context: {channels: 16}};
    await refused(again('prediction', 'refused', context)).toThrow('context.channels is 16, but');
    await refused(again('interpolation', 'refused', context)).toThrow('brings its path of given frames with 32');
    await expect(freezeParent(again('prediction', 'same', {context: {channels: 32}}))).resolves.toBeDefined();
  });

  test('a run of another stage, by name', async () => {
    await refused(again('temporal', 'refused', {}, 'prediction')).toThrow(
      /starts from a run of stage "image" or "temporal", but .* is of stage "prediction"/,
    );
    await refused(again('image', 'refused', {}, 'temporal')).toThrow('is of stage "temporal"');
    await refused(again('prediction', 'refused', {}, 'interpolation')).toThrow('is of stage "interpolation"');
    // An imported one does not say its stage.
    const {unet} = await loadRun(runAt('interpolation'));
    const prediction = again('prediction', 'refused') as Extract<StageConfig, {stage: 'prediction'}>;
    expect(() => predictionUNet(prediction, {unet})).toThrow('is told one of 2 classes');
    await refused(again('autoencoder', 'refused', {}, 'decoder')).toThrow('is of stage "decoder"');
  });
});

test('a run from before "temporal" could be left to the parent is resumed by the same configuration', () => {
  const now = asJson(first('temporal'));
  const then = {...(now as object), temporal: {conv: true, attention: true, kernel: [3, 1, 1]}};
  const written = asJson(stageSchemas.temporal.parse(then));
  expect(compareConfigs(comparable(written), comparable(now), resumeRules).refused).toEqual([]);
  const other = asJson(stageSchemas.temporal.parse({...then, temporal: {conv: false}}));
  expect(compareConfigs(comparable(other), comparable(now), resumeRules).refused).toMatchObject([
    {path: 'temporal.conv', saved: false, now: true},
  ]);
  const prediction = asJson(first('prediction')) as {context: object};
  const wide = {...prediction, context: {...prediction.context, channels: 32}};
  expect(compareConfigs(comparable(wide), comparable(asJson(first('prediction'))), resumeRules).refused).toEqual([]);
});
